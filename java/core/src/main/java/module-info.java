/** Tensors, modules, models, training and data, with the CPU backend. */
module org.jlatent {
    requires com.fasterxml.jackson.databind;
    requires java.desktop;
    requires java.net.http;
    requires org.apache.commons.compress;

    exports org.jlatent;
    exports org.jlatent.data;
    exports org.jlatent.io;
    exports org.jlatent.models;
    exports org.jlatent.nn;
    exports org.jlatent.spi;
    exports org.jlatent.train;
    exports org.jlatent.internal to
            org.jlatent.cuda,
            org.jlatent.cli;

    uses org.jlatent.spi.BackendProvider;
}

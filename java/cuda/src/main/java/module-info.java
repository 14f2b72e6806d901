/** The CUDA kernels from Java, through JCuda. */
module org.jlatent.cuda {
    requires transitive org.jlatent;
    requires transitive jcuda;
    requires jcublas;
    requires jcudnn;

    exports org.jlatent.cuda;

    provides org.jlatent.spi.BackendProvider with
            org.jlatent.cuda.CudaProvider;
}

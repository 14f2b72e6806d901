/** The CUDA kernels from Java, through JCuda. */
module org.jlatent.cuda {
    requires transitive org.jlatent;
    requires jcuda;

    exports org.jlatent.cuda;

    provides org.jlatent.spi.BackendProvider with
            org.jlatent.cuda.CudaProvider;
}

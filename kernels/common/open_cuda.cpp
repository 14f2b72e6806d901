// libjlatent_cuda13 / _cuda12: the table, where a driver and a device of compute capability 8.0 or later are
// present.
#include <cuda_runtime.h>

#include <cstdio>

#include "table.h"

namespace {

struct Choice {
    const jl_kernels* table = nullptr;
    char error[256] = "";
};

Choice choose() {
    Choice choice;
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status != cudaSuccess) {
        snprintf(choice.error, sizeof choice.error, "CUDA: %s", cudaGetErrorString(status));
        (void)cudaGetLastError();
        return choice;
    }
    int device = 0, major = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (major < 8)
        snprintf(choice.error, sizeof choice.error,
                 "CUDA: compute capability 8.0 or later is needed, device %d has %d.x", device, major);
    else
        choice.table = jlatent::cuda::table();
    return choice;
}

const Choice& choice() {
    static const Choice chosen = choose();
    return chosen;
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) const jl_kernels* jl_open_kernels(void) { return choice().table; }
__attribute__((visibility("default"))) const char* jl_open_error(void) { return choice().error; }
}

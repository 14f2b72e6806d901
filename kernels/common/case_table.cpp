// main() of every operation's test: opens the table named by JLATENT_KERNELS, or says why it is skipped.
#include "case_table.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#ifdef JL_TEST_CUDA
#include <cuda_runtime.h>
#endif

namespace jlatent::test {
namespace {
const jl_kernels* opened = nullptr;
constexpr int kSkipped = 77;  // ctest's SKIP_RETURN_CODE
}  // namespace

const jl_kernels& kernels() { return *opened; }

#ifdef JL_TEST_CUDA
void check(cudaError_t error) {
    if (error != cudaSuccess) throw std::runtime_error(cudaGetErrorString(error));
}
void* allocate(size_t bytes) {
    void* p = nullptr;
    check(cudaMalloc(&p, bytes));
    return p;
}
void release(void* p) { cudaFree(p); }
void copy_in(void* device, const void* host, size_t bytes) {
    if (bytes != 0) check(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice));
}
void copy_out(void* host, const void* device, size_t bytes) {
    check(cudaDeviceSynchronize());
    if (bytes != 0) check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost));
}
#else
void* allocate(size_t bytes) { return std::aligned_alloc(64, (bytes + 63) / 64 * 64); }
void release(void* p) { std::free(p); }
void copy_in(void* device, const void* host, size_t bytes) {
    if (bytes != 0) std::memcpy(device, host, bytes);
}
void copy_out(void* host, const void* device, size_t bytes) { copy_in(host, device, bytes); }
#endif

int open_table() {
    const char* path = std::getenv("JLATENT_KERNELS");
    if (path == nullptr) {
        std::fprintf(stderr,
                     "JLATENT_KERNELS must name the library under test, for example libjlatent_cpu.so\n");
        return 1;
    }
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
        std::fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    const auto open = reinterpret_cast<const jl_kernels* (*)()>(dlsym(library, "jl_open_kernels"));
    const auto error = reinterpret_cast<const char* (*)()>(dlsym(library, "jl_open_error"));
    if (open == nullptr || error == nullptr) {
        std::fprintf(stderr, "%s exports no jl_open_kernels\n", path);
        return 1;
    }
    opened = open();
    if (opened == nullptr) {
        std::printf("SKIPPED: %s\n", error());
        return kSkipped;
    }
    if (opened->abi_version != JL_ABI_VERSION || opened->struct_size < sizeof(jl_kernels)) {
        std::fprintf(stderr, "%s: ABI version %u, expected %d\n", path, opened->abi_version, JL_ABI_VERSION);
        return 1;
    }
    std::printf("table under test: %s\n", opened->name);
    return 0;
}

}  // namespace jlatent::test

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (const int code = jlatent::test::open_table()) return code;
    return RUN_ALL_TESTS();
}

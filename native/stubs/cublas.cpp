// libcublas.so.12 and libcublas.so.13 for tests: the calls that java/cuda makes. See stub.h.
#include "stub.h"

namespace {

constexpr int kNotInitialized = 1, kInvalidValue = 7, kNotSupported = 15;
constexpr int kF32 = 0, kBf16 = 14;                          // cudaDataType
constexpr int kCompute32F = 68, kPedantic = 69, kTf32 = 77;  // cublasComputeType_t

struct Handle {
    void* workspace = nullptr;
    size_t bytes = 0;
    void* stream = nullptr;
};

}  // namespace

STUB int cublasCreate_v2(Handle** handle) {
    if (const int status = stub::called("cublasCreate")) return status;
    *handle = new Handle;
    return 0;
}
STUB int cublasDestroy_v2(Handle* handle) {
    delete handle;
    return stub::called("cublasDestroy");
}
STUB int cublasGetVersion_v2(Handle*, int* version) {
    *version = CUBLAS_MAJOR * 10000;
    return 0;
}
STUB int cublasSetStream_v2(Handle* handle, void* stream) {
    handle->stream = stream;
    handle->workspace = nullptr;  // as documented: the workspace is the library's own again
    return stub::called("cublasSetStream", "%d", stream != nullptr);
}
STUB int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
    handle->workspace = workspace;
    handle->bytes = bytes;
    return stub::called("cublasSetWorkspace", "%zu", bytes);
}
STUB const char* cublasGetStatusName(int) { return "CUBLAS_STATUS_OF_THE_STUB"; }
STUB const char* cublasGetStatusString(int) { return "the stub was told to fail"; }

// Column-major: c[m,n] = alpha op(a)[m,k] op(b)[k,n] + beta c
STUB int cublasGemmEx(Handle* handle, int op_a, int op_b, int m, int n, int k, const float* alpha,
                      const void* a, int type_a, int ld_a, const void* b, int type_b, int ld_b,
                      const float* beta, void* c, int type_c, int ld_c, int compute, int algorithm) {
    if (const int status = stub::called(
            "cublasGemmEx", "op %d %d m %d n %d k %d ld %d %d %d types %d %d %d compute %d algorithm %d",
            op_a, op_b, m, n, k, ld_a, ld_b, ld_c, type_a, type_b, type_c, compute, algorithm))
        return status;
    if (handle == nullptr || handle->workspace == nullptr) return kNotInitialized;
    if (ld_a < (op_a == 0 ? m : k) || ld_b < (op_b == 0 ? k : n) || ld_c < m || m < 0 || n < 0 || k < 0)
        return kInvalidValue;
    // The documented combinations.
    const bool f32 = type_a == kF32 && type_b == kF32 && type_c == kF32 &&
                     (compute == kCompute32F || compute == kPedantic || compute == kTf32);
    const bool bf16 = type_a == kBf16 && type_b == kBf16 && (type_c == kBf16 || type_c == kF32) &&
                      (compute == kCompute32F || compute == kPedantic);
    if (!f32 && !bf16) return kNotSupported;
    stub::queue(handle->stream, [=, workspace = handle->workspace, bytes = handle->bytes, alpha = *alpha,
                                 beta = *beta] {
        stub::scribble(workspace, bytes);
        for (int64_t j = 0; j < n; ++j)
            for (int64_t i = 0; i < m; ++i) {
                double sum = 0.0;
                for (int64_t p = 0; p < k; ++p)
                    sum += stub::load(a, op_a == 0 ? i + p * ld_a : p + i * ld_a, bf16) *
                           stub::load(b, op_b == 0 ? p + j * ld_b : j + p * ld_b, bf16);
                const int64_t at = i + j * ld_c;
                const double before = beta == 0.0f ? 0.0 : beta * stub::load(c, at, type_c == kBf16);
                stub::store(c, at, type_c == kBf16, alpha * sum + before);
            }
    });
    return 0;
}

#include "launch.h"
#include "vector_quantize.h"

namespace jlatent::JL_TABLE {
namespace {

__global__ void clear_kernel(int64_t count, int32_t* __restrict__ histogram) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < count) histogram[i] = 0;
}

// Integers: whatever the order, the same sums.
__global__ void histogram_kernel(int64_t count, int64_t books, int64_t codes,
                                 const int32_t* __restrict__ given, int32_t* histogram) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= count) return;
    const int64_t code = given[i];
    if (code >= 0 && code < codes)
        atomicAdd(reinterpret_cast<unsigned*>(histogram) + i % books * codes + code, 1u);
}

unsigned grid(int64_t count) { return static_cast<unsigned>((count + kBlock - 1) / kBlock); }

}  // namespace

jl_status vector_quantize_histogram(int64_t rows, int64_t books, int64_t codes, const int32_t* given,
                                    int32_t* histogram, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_histogram";
    if (const jl_status status = check_vector_quantize_histogram(rows, books, codes, given, histogram))
        return status;
    if (books == 0) return JL_OK;
    if (const jl_status status =
            launch(kName, grid(books * codes), kBlock, 0, stream, clear_kernel, books * codes, histogram))
        return status;
    if (rows == 0) return JL_OK;
    return launch(kName, grid(rows * books), kBlock, 0, stream, histogram_kernel, rows * books, books, codes,
                  given, histogram);
}

}  // namespace jlatent::JL_TABLE

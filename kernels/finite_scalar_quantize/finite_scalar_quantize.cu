#include "finite_scalar_quantize.h"

#include "scalar_codes_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

__global__ void forward_kernel(int64_t rows, int dims, ScalarLevelsOfRow row, const float* __restrict__ x,
                               int32_t* __restrict__ codes, float* __restrict__ q) {
    const ScalarLevels l = row.of[own_column(dims)];
    each_value(rows, dims, [&](int64_t n, int64_t i, bool live) {
        const float value = live ? x[i] : 0.0f;
        const bool finite = is_finite(value);
        const float level = round_to_level(finite ? value : 0.0f, l.half, l.shift, l.offset);
        const int32_t code = row_code(finite ? (static_cast<int32_t>(level) + l.width) * l.basis : -1, dims);
        if (!live) return;
        q[i] = code < 0 ? float_of_bits(0x7fc00000u) : level / static_cast<float>(l.width);
        if (own_column(dims) == 0) codes[n] = code;
    });
}

// d_x may be d_q.
__global__ void backward_kernel(int64_t rows, int dims, ScalarLevelsOfRow row, const float* __restrict__ x,
                                const float* d_q, float* d_x) {
    const ScalarLevels l = row.of[own_column(dims)];
    each_value(rows, dims, [&](int64_t, int64_t i, bool live) {
        if (live) d_x[i] = d_q[i] * level_slope(x[i], l.half, l.shift, static_cast<float>(l.width));
    });
}

__global__ void decode_kernel(int64_t rows, int dims, ScalarLevelsOfRow row, int64_t most,
                              const int32_t* __restrict__ codes, float* __restrict__ q) {
    const ScalarLevels l = row.of[own_column(dims)];
    each_value(rows, dims, [&](int64_t n, int64_t i, bool live) {
        if (!live) return;
        const int32_t code = codes[n];
        q[i] = code < 0 || code >= most
                   ? float_of_bits(0x7fc00000u)
                   : static_cast<float>(code / l.basis % l.levels - l.width) / static_cast<float>(l.width);
    });
}

}  // namespace

jl_status finite_scalar_quantize_forward(const jl_finite_scalar_quantize* shape, const float* x,
                                         int32_t* codes, float* q, jl_stream stream) {
    constexpr const char* kName = "finite_scalar_quantize_forward";
    if (const jl_status status = check_finite_scalar_quantize(kName, shape, x, codes, q)) return status;
    if (shape->rows == 0) return JL_OK;
    return launch(kName, row_grid(shape->rows, shape->dims), kBlock, 0, stream, forward_kernel, shape->rows,
                  static_cast<int>(shape->dims), levels_of(*shape), x, codes, q);
}

jl_status finite_scalar_quantize_backward(const jl_finite_scalar_quantize* shape, const float* x,
                                          const float* d_q, float* d_x, jl_stream stream) {
    constexpr const char* kName = "finite_scalar_quantize_backward";
    if (const jl_status status = check_finite_scalar_quantize(kName, shape, x, d_q, d_x)) return status;
    if (shape->rows == 0) return JL_OK;
    return launch(kName, row_grid(shape->rows, shape->dims), kBlock, 0, stream, backward_kernel, shape->rows,
                  static_cast<int>(shape->dims), levels_of(*shape), x, d_q, d_x);
}

jl_status finite_scalar_quantize_decode(const jl_finite_scalar_quantize* shape, const int32_t* codes,
                                        float* q, jl_stream stream) {
    constexpr const char* kName = "finite_scalar_quantize_decode";
    if (const jl_status status = check_finite_scalar_quantize(kName, shape, codes, q, q)) return status;
    if (shape->rows == 0) return JL_OK;
    return launch(kName, row_grid(shape->rows, shape->dims), kBlock, 0, stream, decode_kernel, shape->rows,
                  static_cast<int>(shape->dims), levels_of(*shape), scalar_code_count(*shape), codes, q);
}

}  // namespace jlatent::JL_TABLE

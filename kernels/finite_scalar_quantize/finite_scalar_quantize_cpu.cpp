#include "finite_scalar_quantize.h"

#include <atomic>

#include "scalar_codes_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// The levels of a strip's values.
struct Strip {
    alignas(64) float half[kMostStrip], shift[kMostStrip], offset[kMostStrip], width[kMostStrip];
    int32_t low[kMostStrip], basis[kMostStrip];

    explicit Strip(const jl_finite_scalar_quantize& s) {
        const ScalarLevelsOfRow row = levels_of(s);
        for (int64_t i = 0; i < kStripRows * s.dims; ++i) {
            const ScalarLevels& l = row.of[i % s.dims];
            half[i] = l.half, shift[i] = l.shift, offset[i] = l.offset, basis[i] = l.basis;
            width[i] = static_cast<float>(l.width), low[i] = -l.width;
        }
    }

    // q, and what each value adds to its row's code; false where one is not finite.
    bool forward(const float* x, int64_t count, float* q, int32_t* parts) const {
        int32_t wrong = 0;
#pragma omp simd reduction(| : wrong)
        for (int64_t i = 0; i < count; ++i) {
            const bool finite = is_finite(x[i]);
            const float level = round_to_level(finite ? x[i] : 0.0f, half[i], shift[i], offset[i]);
            q[i] = level / width[i];
            parts[i] = (static_cast<int32_t>(level) - low[i]) * basis[i];
            wrong |= finite ? 0 : 1;
        }
        return wrong == 0;
    }

    // d_x may be d_q.
    void backward(const float* x, const float* d_q, int64_t count, float* d_x) const {
#pragma omp simd
        for (int64_t i = 0; i < count; ++i) d_x[i] = d_q[i] * level_slope(x[i], half[i], shift[i], width[i]);
    }
};

}  // namespace

jl_status finite_scalar_quantize_forward(const jl_finite_scalar_quantize* shape, const float* x,
                                         int32_t* codes, float* q, jl_stream) {
    constexpr const char* kName = "finite_scalar_quantize_forward";
    if (const jl_status status = check_finite_scalar_quantize(kName, shape, x, codes, q)) return status;
    const int64_t rows = shape->rows, dims = shape->dims;
    const Strip strip(*shape);
    std::atomic<bool> finite{true};
    for_row_tasks(rows, dims, [&](int64_t, int64_t first, int64_t end) {
        for_strips(first, end, [&](int64_t n, int64_t count) {
            int32_t parts[kMostStrip];
            if (!strip.forward(x + n * dims, count * dims, q + n * dims, parts)) finite = false;
            sum_parts(parts, count, dims, codes + n);
        });
    });
    return finite ? JL_OK : refuse_not_finite(kName, x, rows, dims);
}

jl_status finite_scalar_quantize_backward(const jl_finite_scalar_quantize* shape, const float* x,
                                          const float* d_q, float* d_x, jl_stream) {
    if (const jl_status status =
            check_finite_scalar_quantize("finite_scalar_quantize_backward", shape, x, d_q, d_x))
        return status;
    const int64_t dims = shape->dims;
    const Strip strip(*shape);
    for_row_tasks(shape->rows, dims, [&](int64_t, int64_t first, int64_t end) {
        for_strips(first, end, [&](int64_t n, int64_t count) {
            strip.backward(x + n * dims, d_q + n * dims, count * dims, d_x + n * dims);
        });
    });
    return JL_OK;
}

jl_status finite_scalar_quantize_decode(const jl_finite_scalar_quantize* shape, const int32_t* codes,
                                        float* q, jl_stream) {
    constexpr const char* kName = "finite_scalar_quantize_decode";
    if (const jl_status status = check_finite_scalar_quantize(kName, shape, codes, q, q)) return status;
    const jl_finite_scalar_quantize s = *shape;
    if (const jl_status status = check_scalar_codes(kName, codes, s.rows, scalar_code_count(s)))
        return status;
    for_row_tasks(s.rows, s.dims, [&](int64_t, int64_t first, int64_t end) {
        for (int64_t n = first; n < end; ++n) {
            int32_t rest = codes[n];
            for (int64_t d = 0; d < s.dims; ++d) {
                const int32_t levels = s.levels[d], width = levels / 2;
                q[n * s.dims + d] = static_cast<float>(rest % levels - width) / static_cast<float>(width);
                rest /= levels;
            }
        }
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

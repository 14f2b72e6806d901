// finite_scalar_quantize: every value rounded to one of a few levels; a row's code counts their combinations. No codebook,
// no losses                                                        [Mentzer et al. 2023, sec. 3.1, 3.2 and app. A.1]
//
// With L = levels[d], w = floor(L / 2), h = 0.999 (L - 1) / 2, o = 1/2 for even L and 0 for odd, s = tan(o / h):
//   f_d(x)   = h tanh(x + s) - o                          bounded: it rounds to L different integers, 0 at w of them
// forward    q[n,d]   = round(f_d(x[n,d])) / w            in [-1, 1]; ties to even
//            codes[n] = sum_d (round(f_d(x[n,d])) + w) b_d,  b_d = levels[0] ... levels[d - 1]
// backward   d_x[n,d] = d_q[n,d] f_d'(x[n,d]) / w         straight through the rounding
// decode     q[n,d]   = (floor(codes[n] / b_d) mod L - w) / w
//
// x, q, d_q, d_x [rows, dims] contiguous f32, any alignment; codes [rows] i32; no overlap, but d_x may be d_q
// levels          in the shape, host memory on every table: their product is the number of codes, below 2^31. Above some
//                 1000 levels the factor 0.999 leaves the outermost out.
// not finite      The CPU refuses such a row in forward with JL_BAD_ARGUMENT, which names it; the outputs are then
//                 without meaning. CUDA cannot know without waiting: the row's code is -1, its q NaN.
// out of range    The CPU refuses such a code in decode with JL_BAD_ARGUMENT, which names it, and writes nothing. On
//                 CUDA its q is NaN.
// deterministic   yes; codes and q are the same on every table, bit for bit: tanh is one polynomial, and nothing is fused
// bytes           8 rows dims + 4 rows, backward 12 rows dims
#pragma once
#include "math.h"
#include "scalar_codes.h"

namespace jlatent::JL_TABLE {

// What f_d depends on. Made on the host, where one tan serves all tables.
struct ScalarLevels {
    float half, shift, offset;  // h, s, o
    int32_t width;              // w
    int32_t levels, basis;      // L, b_d
};

struct ScalarLevelsOfRow {
    ScalarLevels of[kMostScalarDims];
};

inline ScalarLevelsOfRow levels_of(const jl_finite_scalar_quantize& s) {
    ScalarLevelsOfRow row = {};
    int32_t basis = 1;
    for (int64_t d = 0; d < s.dims; ++d) {
        const int32_t levels = s.levels[d];
        const double half = 0.5 * (levels - 1.0) * (1.0 - 1e-3), offset = levels % 2 == 0 ? 0.5 : 0.0;
        row.of[d] = {static_cast<float>(half),
                     static_cast<float>(std::tan(offset / half)),
                     static_cast<float>(offset),
                     levels / 2,
                     levels,
                     basis};
        basis *= d + 1 < s.dims ? levels : 1;
    }
    return row;
}

// round(f_d(x)) for finite x. Adding 0 makes -0 a 0.
JL_HOST_DEVICE float round_to_level(float x, float half, float shift, float offset) {
    return rintf(polynomial_tanh(x + shift) * half - offset) + 0.0f;
}

// f_d'(x) / w = h / w (1 - tanh^2) by 4 e / (1 + e)^2, e = e^(-2 |x + s|): no digits are lost where tanh is near 1.
JL_HOST_DEVICE float level_slope(float x, float half, float shift, float width) {
    const float e = fast_exp(-2.0f * fabsf(x + shift)), u = 1.0f + e;
    return 4.0f * e / (u * u) * (half / width);
}

// How many codes there are; 0 where the levels are not allowed.
inline int64_t scalar_code_count(const jl_finite_scalar_quantize& s) {
    int64_t codes = 1;
    for (int64_t d = 0; d < s.dims; ++d) {
        if (s.levels[d] < 2 || codes * s.levels[d] >= int64_t{1} << 31) return 0;
        codes *= s.levels[d];
    }
    return codes;
}

// What every table refuses.
inline jl_status check_finite_scalar_quantize(const char* operation, const jl_finite_scalar_quantize* s,
                                              const void* a, const void* b, const void* c) {
    JL_REQUIRE(s != nullptr, "%s: shape is null", operation);
    if (const jl_status status = check_scalar_rows(operation, s->rows, s->dims)) return status;
    for (int64_t d = 0; d < s->dims; ++d)
        JL_REQUIRE(s->levels[d] >= 2, "%s: levels[%lld] must be at least 2, got %d", operation,
                   static_cast<long long>(d), s->levels[d]);
    JL_REQUIRE(scalar_code_count(*s) != 0, "%s: the product of the %lld levels must be below 2^31", operation,
               static_cast<long long>(s->dims));
    JL_REQUIRE(s->rows == 0 || (a != nullptr && b != nullptr && c != nullptr), "%s: an array is null",
               operation);
    return JL_OK;
}

jl_status finite_scalar_quantize_forward(const jl_finite_scalar_quantize* shape, const float* x,
                                         int32_t* codes, float* q, jl_stream stream);
jl_status finite_scalar_quantize_backward(const jl_finite_scalar_quantize* shape, const float* x,
                                          const float* d_q, float* d_x, jl_stream stream);
jl_status finite_scalar_quantize_decode(const jl_finite_scalar_quantize* shape, const int32_t* codes,
                                        float* q, jl_stream stream);

}  // namespace jlatent::JL_TABLE

// l2_normalize: rows of length 1, for codebooks compared by their cosine
//
// l2_normalize_forward    y[r,:] = x[r,:] / max(|x[r,:]|, epsilon)
// l2_normalize_backward   dx = (dy - y (y . dy)) / |x|   row by row; dy / epsilon where |x| <= epsilon
//
// x, y, dy, dx    [rows, dims] contiguous f32, any alignment; y may be x, dx may be dy
// epsilon         >= 2^-126, so that a row of zeros stays one
//                 The length is taken in fp64: no size of finite x overflows or underflows.
//                 A row that holds NaN is NaN; one that holds an infinity has NaN in its place, and 0 elsewhere.
// deterministic   yes; tables agree to an ulp
// bytes           forward 8 rows dims, backward 12; rows past the cache are read twice
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// What every table refuses.
inline jl_status check_l2_normalize(const char* operation, const void* x, const void* y, const void* out,
                                    int64_t rows, int64_t dims, float epsilon) {
    JL_REQUIRE(rows >= 0 && dims >= 0, "%s: rows and dims must not be negative, got %lld and %lld", operation,
               static_cast<long long>(rows), static_cast<long long>(dims));
    JL_REQUIRE(fits({rows, dims}), "%s: at most 2^38 elements are possible, got %lld x %lld", operation,
               static_cast<long long>(rows), static_cast<long long>(dims));
    JL_REQUIRE(epsilon >= 0x1p-126f && std::isfinite(epsilon),
               "%s: epsilon must be finite and at least 2^-126, got %g", operation,
               static_cast<double>(epsilon));
    JL_REQUIRE(rows == 0 || dims == 0 || (x != nullptr && y != nullptr && out != nullptr),
               "%s: an array is null", operation);
    return JL_OK;
}

// dx = factor (dy - along x), from |x|^2 and x . dy.
struct L2Gradient {
    double factor, along;
};

JL_HOST_DEVICE L2Gradient l2_gradient(double square, double product, double epsilon) {
    const double length = sqrt(square);
    return length <= epsilon ? L2Gradient{1.0 / epsilon, 0.0} : L2Gradient{1.0 / length, product / square};
}

JL_HOST_DEVICE double l2_factor(double square, double epsilon) {
    const double length = sqrt(square);
    return 1.0 / (length <= epsilon ? epsilon : length);
}

jl_status l2_normalize_forward(const float* x, float* y, int64_t rows, int64_t dims, float epsilon,
                               jl_stream stream);
jl_status l2_normalize_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t dims,
                                float epsilon, jl_stream stream);

}  // namespace jlatent::JL_TABLE

// concat_elu: PixelCNN++'s activation, forward and backward; both signs of x reach the next layer [Salimans et al. 2017,
// sec. 2.5; Shang et al. 2016, Understanding and Improving Convolutional Neural Networks via Concatenated ReLUs]
//
//   forward    y[r, :c] = elu(x[r]),  y[r, c:] = elu(-x[r])          x [rows, c], y [rows, 2 c]
//   backward   dx[r] = elu'(x[r]) dy[r, :c] - elu'(-x[r]) dy[r, c:]   dx [rows, c]
//
// elu(x) = x or e^x - 1 below 0: of x and -x one is the value itself, and one exponential makes the other.
//
// All arrays contiguous f32, any alignment; none overlap.
// deterministic   yes; tables agree to a few ulp; NaN stays NaN
// bytes           forward 12 rows c, backward 16 rows c
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// elu(x) and elu(-x).
struct EluPair {
    float of_x, of_minus_x;
};
JL_HOST_DEVICE EluPair elu_pair(float x) {
    const float low = -one_minus_exp(fabsf(x));
    return x >= 0.0f ? EluPair{x, low} : EluPair{low, -x};
}
// What reaches x of gradients for both.
JL_HOST_DEVICE float elu_pair_gradient(float x, float d, float d_minus) {
    const float e = fast_exp(-fabsf(x));
    return x >= 0.0f ? d - e * d_minus : e * d - d_minus;
}

// What every table refuses.
inline jl_status check_concat_elu(const char* operation, const float* x, const float* y, int64_t rows,
                                  int64_t channels) {
    JL_REQUIRE(rows >= 0 && channels >= 0, "%s: rows and channels must not be negative, got %lld and %lld",
               operation, static_cast<long long>(rows), static_cast<long long>(channels));
    JL_REQUIRE(fits({2, rows, channels}), "%s: at most 2^38 elements are possible, got %lld x 2 x %lld",
               operation, static_cast<long long>(rows), static_cast<long long>(channels));
    JL_REQUIRE(rows == 0 || channels == 0 || (x != nullptr && y != nullptr), "%s: an array is null",
               operation);
    return JL_OK;
}

jl_status concat_elu_forward(const float* x, float* y, int64_t rows, int64_t channels, jl_stream stream);
jl_status concat_elu_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t channels,
                              jl_stream stream);

}  // namespace jlatent::JL_TABLE

// elementwise: activations and the little arithmetic that glues layers together
//
//   activation_forward    y = f(x)
//   activation_backward   dx = dy f'(.), from `saved`: y for relu, tanh, sigmoid, softplus, elu; x for silu, gelu
//   add                   out = a + b            (out may be a or b)
//   scale                 out = *factor x        (out may be x)
//   fill                  out = value
//   multiply              out = a b              (out may be a or b)
//   to_bf16, from_bf16    the same values in the other type, rounded to the nearest, ties to even
//   sum_axis              out[o,i] = sum_j x[o,j,i]  of x [outer, n, inner]; outer = 1: the gradient of a bias
//   copy_blocks           out[r,c] = x[r,c]  for r < rows, c < columns: rows start x_stride and out_stride elements
//                         apart, what lies between is left alone. Concatenates and cuts along any axis.
//   bias_activation       y[r,c] = f(x[r,c] + bias[c])  of x [rows, columns]; bias may be null. f32 or bf16, x bf16 only
//                         with y bf16; y may be x where both have one type. What follows a product that cannot fuse it.
//
//   relu max(x, 0)   tanh   sigmoid 1 / (1 + e^-x)   softplus log(1 + e^x)
//   elu x or e^x - 1 [Clevert et al. 2016]           silu x sigmoid(x) [Elfwing et al. 2018]
//   gelu x Phi(x), by tanh [Hendrycks, Gimpel 2016]
//
// All arrays contiguous f32 but where said, any alignment; no overlap but where said.
// deterministic   yes; tables agree to a few ulp
// workspace       sum_axis: sum_axis_workspace(outer, n, inner) bytes
// bytes           forward 8 n, backward 12 n, add and multiply 12 n, scale 8 n, fill 4 n, to and from bf16 6 n, sum_axis 4 outer n inner,
//                 copy_blocks 8 rows columns, bias_activation 8 rows columns in f32
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// sigmoid(x) and 1 - sigmoid(x), the second without cancellation at large x.
struct Gate {
    float open, closed;
};
JL_HOST_DEVICE Gate gate(float x) {
    const float e = fast_exp(-fabsf(x));
    const float s = 1.0f / (1.0f + e), rest = e * s;
    return x >= 0.0f ? Gate{s, rest} : Gate{rest, s};
}

// Each has value(x) and derivative(saved), what backward multiplies dy with. NaN stays NaN.
struct Identity {
    static JL_HOST_DEVICE float value(float x) { return x; }
    static JL_HOST_DEVICE float derivative(float) { return 1.0f; }
};
struct Relu {
    static JL_HOST_DEVICE float value(float x) { return x < 0.0f ? 0.0f : x; }
    static JL_HOST_DEVICE float derivative(float y) { return y > 0.0f ? 1.0f : y; }  // y is 0, or NaN
};
struct Tanh {
    static JL_HOST_DEVICE float value(float x) { return fast_tanh(x); }
    static JL_HOST_DEVICE float derivative(float y) { return 1.0f - y * y; }
};
struct Sigmoid {
    static JL_HOST_DEVICE float value(float x) { return sigmoid(x); }
    static JL_HOST_DEVICE float derivative(float y) { return y * (1.0f - y); }
};
struct Softplus {
    static JL_HOST_DEVICE float value(float x) { return softplus(x); }
    static JL_HOST_DEVICE float derivative(float y) { return one_minus_exp(y); }
};
struct Elu {
    static JL_HOST_DEVICE float value(float x) { return x < 0.0f ? -one_minus_exp(-x) : x; }
    static JL_HOST_DEVICE float derivative(float y) { return y >= 0.0f ? 1.0f : y + 1.0f; }
};
struct Silu {
    static JL_HOST_DEVICE float value(float x) { return x * sigmoid(x); }
    static JL_HOST_DEVICE float derivative(float x) {
        const Gate g = gate(x);
        return g.open * (1.0f + x * g.closed);
    }
};
struct Gelu {
    static constexpr float kA = 0.7978845608f;  // sqrt(2 / pi)
    static constexpr float kB = 0.044715f;
    // Phi(x) = 1/2 (1 + tanh(u)) = sigmoid(2 u): no cancellation for large negative x.
    static JL_HOST_DEVICE Gate phi(float x) { return gate(2.0f * kA * (x + kB * x * x * x)); }
    static JL_HOST_DEVICE float value(float x) { return x * phi(x).open; }
    static JL_HOST_DEVICE float derivative(float x) {
        const Gate g = phi(x);
        return g.open * (1.0f + x * g.closed * (2.0f * kA * (1.0f + 3.0f * kB * x * x)));
    }
};

// Calls f with the functor of `activation`.
template <class F>
jl_status with_activation(int32_t activation, F f) {
    switch (activation) {
        case JL_IDENTITY:
            return f(Identity{});
        case JL_RELU:
            return f(Relu{});
        case JL_TANH:
            return f(Tanh{});
        case JL_SIGMOID:
            return f(Sigmoid{});
        case JL_SOFTPLUS:
            return f(Softplus{});
        case JL_ELU:
            return f(Elu{});
        case JL_SILU:
            return f(Silu{});
        case JL_GELU:
            return f(Gelu{});
        default:
            return fail(JL_BAD_ARGUMENT, "activation: unknown number %d", activation);
    }
}

size_t sum_axis_workspace(int64_t outer, int64_t n, int64_t inner);

// What every table refuses.
inline jl_status check_elementwise(const char* operation, int64_t count, const void* in, const void* out) {
    JL_REQUIRE(count >= 0 && count <= kMostElements, "%s: count must be in [0, 2^38], got %lld", operation,
               static_cast<long long>(count));
    JL_REQUIRE(count == 0 || (in != nullptr && out != nullptr), "%s: an array is null", operation);
    return JL_OK;
}

inline jl_status check_sum_axis(const float* x, const float* out, int64_t outer, int64_t n, int64_t inner,
                                jl_workspace workspace) {
    JL_REQUIRE(outer >= 0 && n >= 0 && inner >= 0,
               "sum_axis: extents must not be negative, got [%lld, %lld, %lld]",
               static_cast<long long>(outer), static_cast<long long>(n), static_cast<long long>(inner));
    JL_REQUIRE(fits({outer, n, inner}),
               "sum_axis: at most 2^38 elements are possible, got %lld x %lld x %lld",
               static_cast<long long>(outer), static_cast<long long>(n), static_cast<long long>(inner));
    JL_REQUIRE(outer == 0 || inner == 0 || (out != nullptr && (n == 0 || x != nullptr)),
               "sum_axis: an array is null");
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= sum_axis_workspace(outer, n, inner),
               "sum_axis: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               sum_axis_workspace(outer, n, inner));
    return JL_OK;
}

inline jl_status check_copy_blocks(const float* x, int64_t x_stride, const float* out, int64_t out_stride,
                                   int64_t rows, int64_t columns) {
    JL_REQUIRE(rows >= 0 && columns >= 0,
               "copy_blocks: rows and columns must not be negative, got %lld and %lld",
               static_cast<long long>(rows), static_cast<long long>(columns));
    JL_REQUIRE(x_stride >= columns && out_stride >= columns,
               "copy_blocks: strides %lld and %lld are shorter than a row of %lld columns",
               static_cast<long long>(x_stride), static_cast<long long>(out_stride),
               static_cast<long long>(columns));
    JL_REQUIRE(fits({rows, x_stride}) && fits({rows, out_stride}),
               "copy_blocks: at most 2^38 elements are possible, got %lld rows, strides %lld and %lld",
               static_cast<long long>(rows), static_cast<long long>(x_stride),
               static_cast<long long>(out_stride));
    JL_REQUIRE(rows == 0 || columns == 0 || (x != nullptr && out != nullptr),
               "copy_blocks: an array is null");
    return JL_OK;
}

// Calls f with null pointers of the types of x and y.
template <class F>
jl_status with_types(int32_t x_dtype, int32_t y_dtype, F f) {
    const float* f32 = nullptr;
    const uint16_t* bf16 = nullptr;
    if (x_dtype == JL_F32 && y_dtype == JL_F32) return f(f32, f32);
    if (x_dtype == JL_F32 && y_dtype == JL_BF16) return f(f32, bf16);
    if (x_dtype == JL_BF16 && y_dtype == JL_BF16) return f(bf16, bf16);
    return fail(JL_BAD_ARGUMENT,
                "bias_activation: types %d to %d; f32 to f32 or bf16 and bf16 to bf16 are there", x_dtype,
                y_dtype);
}

inline jl_status check_bias_activation(const void* x, const void* y, int64_t rows, int64_t columns) {
    JL_REQUIRE(rows >= 0 && columns >= 0,
               "bias_activation: rows and columns must not be negative, got %lld and %lld",
               static_cast<long long>(rows), static_cast<long long>(columns));
    JL_REQUIRE(fits({rows, columns}), "bias_activation: at most 2^38 elements are possible, got %lld x %lld",
               static_cast<long long>(rows), static_cast<long long>(columns));
    return check_elementwise("bias_activation", rows * columns, x, y);
}

jl_status activation_forward(int32_t activation, const float* x, float* y, int64_t count, jl_stream stream);
jl_status activation_backward(int32_t activation, const float* saved, const float* dy, float* dx,
                              int64_t count, jl_stream stream);
jl_status add(const float* a, const float* b, float* out, int64_t count, jl_stream stream);
jl_status scale(const float* x, const float* factor, float* out, int64_t count, jl_stream stream);
jl_status fill(float* out, float value, int64_t count, jl_stream stream);
jl_status sum_axis(const float* x, float* out, int64_t outer, int64_t n, int64_t inner,
                   jl_workspace workspace, jl_stream stream);
jl_status multiply(const float* a, const float* b, float* out, int64_t count, jl_stream stream);
jl_status to_bf16(const float* x, uint16_t* out, int64_t count, jl_stream stream);
jl_status from_bf16(const uint16_t* x, float* out, int64_t count, jl_stream stream);
jl_status copy_blocks(const float* x, int64_t x_stride, float* out, int64_t out_stride, int64_t rows,
                      int64_t columns, jl_stream stream);
jl_status bias_activation(int32_t activation, int32_t x_dtype, const void* x, const float* bias,
                          int32_t y_dtype, void* y, int64_t rows, int64_t columns, jl_stream stream);

}  // namespace jlatent::JL_TABLE

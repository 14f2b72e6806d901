// lstm_cell: one row of a row LSTM, forward and backward [van den Oord et al. 2016, Pixel Recurrent Neural Networks, eq. 3;
// Hochreiter, Schmidhuber 1997]
//
// Row y of an image comes from row y - 1, all of its pixels at once. With every channel's four sums side by side,
// s = sums[n, y, x, c, :] + above[n, x, c, :], and c' = c[n, y - 1, x, c], or 0 where y = 0:
//   o, f, i = sigmoid(s[0]), sigmoid(s[1]), sigmoid(s[2])    g = tanh(s[3])
//   c = f c' + i g    h = o tanh(c)
//
// lstm_cell_forward     sums: input to state, known for all rows; above: state to state, from row y - 1's h
// lstm_cell_backward    d_h + d_below is h's gradient, of which d_below comes from row y + 1's sums. d_c is that of c from row
//                       y + 1, and becomes that of c': with D = d_c + (d_h + d_below) o (1 - tanh(c)^2)
//                           d_sums = (d_h + d_below) tanh(c) o (1 - o),  D c' f (1 - f),  D g i (1 - i),  D i (1 - g^2)
//                           d_c = D f
//
// sums, gates, d_sums   [batch, height, width, channels, 4], of which row y is read or written; gates are o, f, i, g
// c, h, d_h             [batch, height, width, channels], the same; c also at row y - 1
// above                 [batch, width, channels, 4], or null: 0, as for the first row
// row                   [batch, width, channels]: h's row y again, for the convolution that makes the next `above`
// d_below               [batch, width, channels], or null: 0, as for the last row
// d_c                   [batch, width, channels]: 0 for the last row
// d_row                 [batch, width, channels, 4]: d_sums' row y again, which is d_above
//
// overwritten     row y of gates, c, h and d_sums; row, d_c, d_row; nothing else; none may overlap another array
// deterministic   yes; tables agree to a few ulp
// bytes           a pixel's channel 64 forward, 72 backward. Gates are kept: that backward computes them again would need the
//                 sums in their place, as many, and five exponentials instead of one
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

struct LstmGates {
    float o, f, i, g;
};

JL_HOST_DEVICE LstmGates lstm_gates(float o, float f, float i, float g) {
    return {sigmoid(o), sigmoid(f), sigmoid(i), fast_tanh(g)};
}
JL_HOST_DEVICE float lstm_c(float f, float before, float i, float g) { return f * before + i * g; }

// Replaces *d_c, the gradient of c, by that of c'.
JL_HOST_DEVICE LstmGates lstm_gradient(const LstmGates& gates, float before, float c, float d_h, float* d_c) {
    const float t = fast_tanh(c), d = *d_c + d_h * gates.o * (1.0f - t * t);
    *d_c = d * gates.f;
    return {d_h * t * gates.o * (1.0f - gates.o), d * before * gates.f * (1.0f - gates.f),
            d * gates.g * gates.i * (1.0f - gates.i), d * gates.i * (1.0f - gates.g * gates.g)};
}

// What every table refuses.
inline jl_status check_lstm_cell(const char* operation, const jl_lstm_cell* shape) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_lstm_cell& s = *shape;
    const auto number = [](int64_t value) { return static_cast<long long>(value); };
    JL_REQUIRE(s.batch >= 0 && s.height >= 1 && s.width >= 1 && s.channels >= 1,
               "%s: batch >= 0 and height, width and channels >= 1 are needed, got %lld, %lld, %lld and %lld",
               operation, number(s.batch), number(s.height), number(s.width), number(s.channels));
    JL_REQUIRE(s.row >= 0 && s.row < s.height, "%s: row must be from 0 to %lld, got %lld", operation,
               number(s.height - 1), number(s.row));
    JL_REQUIRE(fits({s.batch, s.height, s.width, s.channels, 4}),
               "%s: at most 2^38 elements are possible, got %lld x %lld x %lld x %lld x 4", operation,
               number(s.batch), number(s.height), number(s.width), number(s.channels));
    return JL_OK;
}

inline jl_status check_lstm_cell_forward(const jl_lstm_cell* shape, const float* sums, const float* gates,
                                         const float* c, const float* h, const float* row) {
    if (const jl_status status = check_lstm_cell("lstm_cell_forward", shape)) return status;
    JL_REQUIRE(shape->batch == 0 ||
                   (sums != nullptr && gates != nullptr && c != nullptr && h != nullptr && row != nullptr),
               "lstm_cell_forward: sums, gates, c, h and row must not be null");
    return JL_OK;
}

inline jl_status check_lstm_cell_backward(const jl_lstm_cell* shape, const float* gates, const float* c,
                                          const float* d_h, const float* d_c, const float* d_sums,
                                          const float* d_row) {
    if (const jl_status status = check_lstm_cell("lstm_cell_backward", shape)) return status;
    JL_REQUIRE(shape->batch == 0 || (gates != nullptr && c != nullptr && d_h != nullptr && d_c != nullptr &&
                                     d_sums != nullptr && d_row != nullptr),
               "lstm_cell_backward: gates, c, d_h, d_c, d_sums and d_row must not be null");
    return JL_OK;
}

jl_status lstm_cell_forward(const jl_lstm_cell* shape, const float* sums, const float* above, float* gates,
                            float* c, float* h, float* row, jl_stream stream);
jl_status lstm_cell_backward(const jl_lstm_cell* shape, const float* gates, const float* c, const float* d_h,
                             const float* d_below, float* d_c, float* d_sums, float* d_row, jl_stream stream);

}  // namespace jlatent::JL_TABLE

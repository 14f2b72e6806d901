// masked_conv: PixelCNN's masked convolution, forward and backward; a pixel sees only those before it in raster order
// [van den Oord et al. 2016, Pixel Recurrent Neural Networks, sec. 3.4; Conditional Image Generation with PixelCNN
// Decoders, sec. 2.1 to 2.3]
//
// With taps t at (dy, dx) from the pixel, and pixels outside the image 0:
//   a[n, i, j, f] = bias[f] + vector[n, f] + map[n, i, j, f] + sum over t, c of weight[f, t, c] x[n, i + dy, j + dx, c]
//   out = a,  max(a, 0),  or with p = filters / 2
//         tanh(a[.., :p]) sigmoid(a[.., p:])   JL_GATE
//         a[.., :p] sigmoid(a[.., p:])         JL_GLU, the gated linear unit [Dauphin et al. 2017; PixelCNN++, sec. 2.5]
//
// Which taps there are, with r = k / 2 rounded down:
//   JL_RASTER_A      r rows above, k wide, and r pixels to the left                weight [filters, k, k, channels]
//   JL_RASTER_B      and the pixel itself
//   JL_VERTICAL_A    r rows above, k wide                                          weight [filters, r, k, channels]
//   JL_VERTICAL_B    and the pixel's own row, k wide                               weight [filters, r + 1, k, channels]
//   JL_HORIZONTAL_A  r pixels to the left                                          weight [filters, 1, r, channels]
//   JL_HORIZONTAL_B  and the pixel itself                                          weight [filters, 1, r + 1, channels]
//                    (so in an A of several groups)
// In the order of the weight these taps are always the first ones: the rest of a raster kernel is dead. A vertical stack
// that begins with an A sees rows above, and only those, however deep it is: so its output goes to a horizontal stack of the
// same row, without a shift by a row. Together they see all pixels before; of these a stack of raster kernels misses some to
// the right, its blind spot.
//
// Groups g order channels and outputs, red before green before blue: in the pixel itself an output of group i sees
// channels of groups below i (A) or up to i (B). Both halves of a gate, or unit, are so grouped. Vertical kernels have one group.
//
// forward            out [batch, height, width, filters, or filters / 2 where gated]. gates, which backward_gate wants, are
//                    both factors of out, [batch, height, width, filters]; null where no gradient follows. bias
//                    [filters], vector [batch, filters] and map [batch, height, width, filters] may be null
// backward_gate      d_a from d_out and gates. (d_a of max(a, 0) is activation_backward's, d_a of a is d_out; d_map is d_a,
//                    d_vector its sum over pixels.)
// backward_data      d_x[n, i, j, c] = sum over t, f of weight[f, t, c] d_a[n, i - dy, j - dx, f]
// backward_weight    d_weight[f, t, c] = sum over n, i, j of d_a[n, i, j, f] x[n, i + dy, j + dx, c], 0 where no product
//                    is taken; d_bias its sum over n, i, j, or null
//
// overwritten     out, gates, d_a, d_x, d_weight, d_bias; none may overlap another array
// workspace       all but backward_gate: masked_conv_workspace(shape) bytes
// never read      dead taps of the weight; pixels under them, so that NaN there changes nothing. In the pixel itself what
//                 another group hides is multiplied with 0: there any finite number changes nothing
// precision       f32 sums of live taps channels, or of batch height width, products. On CUDA tensor cores take these, of
//                 factors in three parts, with the error of f32 (product_cuda.h); an infinite factor gives NaN there.
//                 Factors of bf16: x, weight and d_a are rounded to the nearest, ties to even, before they are multiplied;
//                 all else is f32 (d_bias sums d_a as it is). What bf16 holds as a denormal may become 0, and
//                 backward_weight may multiply any value of x by 0: there all must be finite
// deterministic   yes: sums in an order that depends on the shape alone
// FLOPs, bytes    each but backward_gate 2 batch height width live channels filters, live taps only: 3x3 B 5 of 9, 7x7 A 24
//                 of 49; x, out and the weight once, gates 4 a filter and pixel more: backward then computes no tanh
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// The taps that meet an image, row by row: `above` rows of 2 side + 1, then `own` ones from -side on.
struct Taps {
    int64_t above, side, own;
    int64_t weight_rows, weight_columns;  // of the weight; the pixel itself is at row `row`, column `column`
    int64_t row, column;

    JL_HOST_DEVICE int64_t across() const { return 2 * side + 1; }
    JL_HOST_DEVICE int64_t count() const { return above * across() + own; }
    JL_HOST_DEVICE int64_t dy(int64_t t) const { return t / across() - above; }
    JL_HOST_DEVICE int64_t dx(int64_t t) const { return t % across() - side; }
    JL_HOST_DEVICE int64_t weight_taps() const { return weight_rows * weight_columns; }
    // Where tap t is in the weight.
    JL_HOST_DEVICE int64_t weight_tap(int64_t t) const {
        return (row + dy(t)) * weight_columns + column + dx(t);
    }
    // Which tap is there; -1: none.
    JL_HOST_DEVICE int64_t tap_at(int64_t weight_tap) const {
        const int64_t y = weight_tap / weight_columns - row + above,
                      x = weight_tap % weight_columns - column + side;
        const int64_t t = y * across() + x;
        return y >= 0 && x >= 0 && x < across() && t < count() ? t : -1;
    }
};

inline bool is_vertical(const jl_masked_conv& s) {
    return s.taps == JL_VERTICAL_A || s.taps == JL_VERTICAL_B;
}
// Whether the pixel itself is a tap that shows only some groups, and which: B's own group too.
JL_HOST_DEVICE bool includes_own_group(const jl_masked_conv& s) {
    return s.taps == JL_RASTER_B || s.taps == JL_HORIZONTAL_B;
}
JL_HOST_DEVICE bool has_centre(const jl_masked_conv& s) {
    return s.groups > 1 || includes_own_group(s);  // A hides all of one group
}

// Taps that reach no pixel of so small an image are left out.
inline Taps taps_of(const jl_masked_conv& s) {
    const int64_t r = s.kernel / 2, side = r < s.width ? r : s.width - 1;
    const bool raster = s.taps == JL_RASTER_A || s.taps == JL_RASTER_B;
    const int64_t above = raster || is_vertical(s) ? (r < s.height ? r : s.height - 1) : 0;
    if (is_vertical(s)) {
        const int64_t own = s.taps == JL_VERTICAL_B ? 1 : 0;
        return {above, side, own * (2 * side + 1), r + own, s.kernel, r, r};
    }
    const int64_t own = side + (has_centre(s) ? 1 : 0);
    if (raster) return {above, side, own, s.kernel, s.kernel, r, r};
    return {0, side, own, 1, r + (has_centre(s) ? 1 : 0), 0, r};
}

inline int64_t pixels_of(const jl_masked_conv& s) { return s.batch * s.height * s.width; }
// Whether out is a product of two halves.
JL_HOST_DEVICE bool is_gated(int32_t epilogue) { return epilogue == JL_GATE || epilogue == JL_GLU; }
// Channels of the output: a gate's two halves make one.
JL_HOST_DEVICE int64_t outputs_of(const jl_masked_conv& s) {
    return is_gated(s.epilogue) ? s.filters / 2 : s.filters;
}
// How many channels of the pixel itself filter f sees: the first so many.
JL_HOST_DEVICE int64_t centre_channels(const jl_masked_conv& s, int64_t f) {
    const int64_t outputs = outputs_of(s), group = f % outputs / (outputs / s.groups);
    return (group + (includes_own_group(s) ? 1 : 0)) * (s.channels / s.groups);
}
// How many channels filter f sees through tap t.
JL_HOST_DEVICE int64_t seen_channels(const jl_masked_conv& s, const Taps& taps, int64_t t, int64_t f) {
    const bool centre = s.taps != JL_VERTICAL_B && taps.dy(t) == 0 && taps.dx(t) == 0;
    return centre ? centre_channels(s, f) : s.channels;
}

// A factor as it is multiplied.
JL_HOST_DEVICE float rounded(int32_t factors, float value) {
    return factors == JL_BF16 ? float_of_bf16(bf16_of_float(value)) : value;
}

// Through t g, from both factors: t = tanh(a), of a linear unit a; g = sigmoid(b).
JL_HOST_DEVICE void gate_gradient(bool linear, float t, float g, float d, float* d_a, float* d_b) {
    *d_a = linear ? d * g : d * g * (1.0f - t * t);
    *d_b = d * t * g * (1.0f - g);
}

// What every table refuses.
inline jl_status check_masked_conv(const char* operation, const jl_masked_conv* shape) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_masked_conv& s = *shape;
    const auto number = [](int64_t value) { return static_cast<long long>(value); };
    JL_REQUIRE(
        s.batch >= 0 && s.height >= 1 && s.width >= 1 && s.channels >= 1 && s.filters >= 1,
        "%s: batch >= 0 and height, width, channels and filters >= 1 are needed, got %lld, %lld, %lld, "
        "%lld and %lld",
        operation, number(s.batch), number(s.height), number(s.width), number(s.channels), number(s.filters));
    JL_REQUIRE(s.taps >= JL_RASTER_A && s.taps <= JL_HORIZONTAL_B, "%s: taps must be from 0 to 5, got %d",
               operation, s.taps);
    JL_REQUIRE(s.epilogue >= JL_PLAIN && s.epilogue <= JL_GLU, "%s: epilogue must be from 0 to 3, got %d",
               operation, s.epilogue);
    JL_REQUIRE(s.factors == JL_F32 || s.factors == JL_BF16, "%s: factors must be 0 (f32) or 1 (bf16), got %d",
               operation, s.factors);
    JL_REQUIRE(s.kernel >= 1 && s.kernel <= 32767 && s.kernel % 2 == 1,
               "%s: kernel must be odd and from 1 to 32767, got %lld", operation, number(s.kernel));
    JL_REQUIRE(!is_gated(s.epilogue) || s.filters % 2 == 0,
               "%s: a gate needs an even number of filters, got %lld", operation, number(s.filters));
    JL_REQUIRE(s.groups >= 1 && s.channels % s.groups == 0 && outputs_of(s) % s.groups == 0,
               "%s: groups must divide channels and outputs, got %lld groups, %lld channels and %lld outputs",
               operation, number(s.groups), number(s.channels), number(outputs_of(s)));
    JL_REQUIRE(s.groups == 1 || !is_vertical(s), "%s: vertical taps have one group, got %lld", operation,
               number(s.groups));
    JL_REQUIRE(s.kernel > 1 || s.taps == JL_VERTICAL_B || has_centre(s),
               "%s: of a kernel of 1, mask A leaves nothing", operation);
    JL_REQUIRE(fits({s.batch, s.height, s.width, s.channels}) &&
                   fits({s.batch, s.height, s.width, s.filters}) &&
                   fits({s.filters, s.kernel, s.kernel, s.channels}),
               "%s: at most 2^38 elements are possible, got %lld x %lld x %lld x %lld to %lld, kernel %lld",
               operation, number(s.batch), number(s.height), number(s.width), number(s.channels),
               number(s.filters), number(s.kernel));
    return JL_OK;
}

// 0 for a shape that check_masked_conv refuses.
size_t masked_conv_workspace(const jl_masked_conv* shape);

inline jl_status check_masked_conv_workspace(const char* operation, const jl_masked_conv* shape,
                                             jl_workspace workspace) {
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= masked_conv_workspace(shape),
               "%s: the workspace has %zu bytes, %zu are needed", operation, workspace.bytes,
               masked_conv_workspace(shape));
    return JL_OK;
}

inline jl_status check_masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                                           const float* out, const float* gates, jl_workspace workspace) {
    if (const jl_status status = check_masked_conv("masked_conv_forward", shape)) return status;
    JL_REQUIRE(weight != nullptr && (shape->batch == 0 || (x != nullptr && out != nullptr)),
               "masked_conv_forward: x, weight and out must not be null");
    JL_REQUIRE(gates == nullptr || is_gated(shape->epilogue),
               "masked_conv_forward: only a gate has gates, the epilogue is %d", shape->epilogue);
    return check_masked_conv_workspace("masked_conv_forward", shape, workspace);
}

inline jl_status check_masked_conv_backward_gate(const jl_masked_conv* shape, const float* gates,
                                                 const float* d_out, const float* d_a) {
    if (const jl_status status = check_masked_conv("masked_conv_backward_gate", shape)) return status;
    JL_REQUIRE(is_gated(shape->epilogue), "masked_conv_backward_gate: the epilogue is %d, not a gate",
               shape->epilogue);
    JL_REQUIRE(shape->batch == 0 || (gates != nullptr && d_out != nullptr && d_a != nullptr),
               "masked_conv_backward_gate: an array is null");
    return JL_OK;
}

inline jl_status check_masked_conv_backward_data(const jl_masked_conv* shape, const float* d_a,
                                                 const float* weight, const float* d_x,
                                                 jl_workspace workspace) {
    if (const jl_status status = check_masked_conv("masked_conv_backward_data", shape)) return status;
    JL_REQUIRE(weight != nullptr && (shape->batch == 0 || (d_a != nullptr && d_x != nullptr)),
               "masked_conv_backward_data: an array is null");
    return check_masked_conv_workspace("masked_conv_backward_data", shape, workspace);
}

inline jl_status check_masked_conv_backward_weight(const jl_masked_conv* shape, const float* x,
                                                   const float* d_a, const float* d_weight,
                                                   jl_workspace workspace) {
    if (const jl_status status = check_masked_conv("masked_conv_backward_weight", shape)) return status;
    JL_REQUIRE(d_weight != nullptr && (shape->batch == 0 || (x != nullptr && d_a != nullptr)),
               "masked_conv_backward_weight: x, d_a and d_weight must not be null");
    return check_masked_conv_workspace("masked_conv_backward_weight", shape, workspace);
}

jl_status masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                              const float* bias, const float* vector, const float* map, float* out,
                              float* gates, jl_workspace workspace, jl_stream stream);
jl_status masked_conv_backward_gate(const jl_masked_conv* shape, const float* gates, const float* d_out,
                                    float* d_a, jl_stream stream);
jl_status masked_conv_backward_data(const jl_masked_conv* shape, const float* d_a, const float* weight,
                                    float* d_x, jl_workspace workspace, jl_stream stream);
jl_status masked_conv_backward_weight(const jl_masked_conv* shape, const float* x, const float* d_a,
                                      float* d_weight, float* d_bias, jl_workspace workspace,
                                      jl_stream stream);

}  // namespace jlatent::JL_TABLE

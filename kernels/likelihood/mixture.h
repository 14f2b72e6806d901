// The discretized logistic mixture of one pixel    [Salimans et al. 2017, eq. 1-3]
//
// L levels lie evenly on [-1, 1]: level k is v_k = (2 k - (L - 1)) / (L - 1), and has the bin v_k -+ 1 / (L - 1); the first
// and the last one's reach to infinity. A component m is chosen for a pixel, and gives channel c, after the channels j < c,
//   mean        mu'[c,m] = mu[c,m] + sum_{j<c} tanh(alpha[c,j,m]) v(x[j])
//   scale       e^(max(s[c,m], -7))
//   P(x[c] | m) = sigmoid((upper edge - mu') / scale) - sigmoid((lower edge - mu') / scale)
//
// A pixel's parameters, M neighbouring components in each: logits [M], mu [C, M], s [C, M], alpha [C (C - 1) / 2, M] in the
// order (1,0), (2,0), (2,1), ...
#pragma once
#include "host_device.h"
#include "math.h"

namespace jlatent::JL_TABLE {

constexpr float kLeastLogScale = -7.0f;

// Where a pixel's parameters lie.
struct MixtureLayout {
    int components, channels;
    JL_HOST_DEVICE int mean(int channel, int component) const {
        return (1 + channel) * components + component;
    }
    JL_HOST_DEVICE int log_scale(int channel, int component) const {
        return (1 + channels + channel) * components + component;
    }
    // How channel `earlier` moves the mean of `channel`.
    JL_HOST_DEVICE int coupling(int channel, int earlier, int component) const {
        return (1 + 2 * channels + channel * (channel - 1) / 2 + earlier) * components + component;
    }
    JL_HOST_DEVICE int size() const { return coupling(channels, 0, 0); }
    // With what mixture_nll() keeps behind them: log P(x | component) and the component's logit
    JL_HOST_DEVICE int joint(int component) const { return size() + component; }
    JL_HOST_DEVICE int floats() const { return size() + components; }
};

constexpr int kMostMixture = 381;  // floats a pixel: on CUDA a warp's fill 48 KiB, less what reductions take
constexpr int kMostChannels = 26;  // that is one component's

JL_HOST_DEVICE float level_value(int level, int levels) {
    return static_cast<float>(2 * level - (levels - 1)) / static_cast<float>(levels - 1);
}

// log P of a level's bin and its derivatives.
struct Bin {
    float log_p, d_mean, d_log_scale;
};

// For the bin of `levels` at `value`; `below`, `above`: whether there are levels below it and above.
//
// With a and b the upper and the lower edge's distance from the mean in scales, w = a - b their difference:
//   sigmoid(a) - sigmoid(b) = (1 - e^-w) sigmoid(a) sigmoid(-b)
// where nothing cancels; at the ends of the range one of the two sigmoids alone is left. Both come from e^-|a|, e^-|b|.
JL_HOST_DEVICE Bin logistic_bin(float mean, float log_scale, float value, bool below, bool above,
                                float half_bin) {
    const float s = log_scale < kLeastLogScale ? kLeastLogScale : log_scale;  // NaN stays
    const float inverse = fast_exp(-s), center = value - mean;
    const float a = (center + half_bin) * inverse, b = (center - half_bin) * inverse,
                w = 2.0f * half_bin * inverse;
    const float ea = above ? fast_exp(-fabsf(a)) : 0.0f, eb = below ? fast_exp(-fabsf(b)) : 0.0f,
                ew = fast_exp(-w);
    // (1 - e^-w) / w in [0, 1/2): there log w is known better than w, which may vanish
    float taylor = 1.0f / 40320.0f;
    taylor = taylor * -w + 1.0f / 5040.0f;
    taylor = taylor * -w + 1.0f / 720.0f;
    taylor = taylor * -w + 1.0f / 120.0f;
    taylor = taylor * -w + 1.0f / 24.0f;
    taylor = taylor * -w + 1.0f / 6.0f;
    taylor = taylor * -w + 0.5f;
    taylor = taylor * -w + 1.0f;
    const bool inner = below && above, narrow = inner && w < 0.5f;
    const float width = narrow ? taylor : inner ? 1.0f - ew : 1.0f;
    const float by_a = 1.0f / (1.0f + ea), by_b = 1.0f / (1.0f + eb);
    // sigmoid(-a) and sigmoid(b): how the tails beyond the bin pull at it
    const float right = !above     ? 0.0f
                        : a > 0.0f ? ea * by_a
                                   : by_a,
                left = !below     ? 0.0f
                       : b > 0.0f ? by_b
                                  : eb * by_b;
    const float product = width * by_a * by_b;  // in (0, 1], or NaN, which fast_log does not know
    float log_p = product > 0.0f ? fast_log(product) : product;
    if (above && a < 0.0f) log_p += a;
    if (below && b > 0.0f) log_p -= b;
    if (narrow) log_p += fast_log(2.0f * half_bin) - s;
    // d log(1 - e^-w) / d s = -w / (e^w - 1) = -w e^-w / (1 - e^-w)
    const float shrink = !inner ? 0.0f : narrow ? ew / taylor : w * ew / width;
    float d_log_scale = -shrink;
    if (above) d_log_scale -= a * right;
    if (below) d_log_scale += b * left;
    if (log_scale < kLeastLogScale) d_log_scale = 0.0f;
    return {log_p, (left - right) * inverse, d_log_scale};
}

}  // namespace jlatent::JL_TABLE

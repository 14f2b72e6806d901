// Draws a level from what the parameters of one value, or one pixel, say: by inverting the distribution function, levels in
// their order, at one uniform number u. Whatever else draws from the same parameters (pixel_sampler) calls these, and gets
// the same levels from the same words.
//
// u is a word: 32 random bits, standing for (word + 1/2) / 2^32. draw_word() makes those of likelihood_sample.
//
// A draw says how near u came to the edge between two levels. Parameters that differ in their last digits move edges by as
// little: where two samplers' draws differ, `margin` tells rounding from a mistake. (What top_k leaves out has no edge:
// logits that nearly tie at the k-th place may be told apart only without it.)
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "mixture.h"
#include "philox.h"

namespace jlatent::JL_TABLE {

// The word of one element: of a value (draw 0), or of a pixel, whose component it chooses (draw 1).
JL_HOST_DEVICE uint32_t draw_word(int64_t element, uint32_t draw, const jl_random& random, uint32_t site) {
    const Words words =
        philox(static_cast<uint32_t>(element / 4), draw, random.step, site, philox_key(random));
    const uint32_t low = element % 2 == 0 ? words.w[0] : words.w[1],
                   high = element % 2 == 0 ? words.w[2] : words.w[3];
    return element % 4 < 2 ? low : high;
}

struct Draw {
    int32_t level;  // -1 where the parameters are no distribution
    float margin;   // from u to the nearest edge between two levels, in probability
};

// Who draws together: one thread here, a warp in draw_cuda.h. All of them call, with the same arguments.
struct Alone {
    static constexpr int kLanes = 1;
    JL_HOST_DEVICE static int lane() { return 0; }
    JL_HOST_DEVICE static float largest(float v) { return v; }
    JL_HOST_DEVICE static uint64_t sum(uint64_t v) { return v; }
    JL_HOST_DEVICE static uint64_t before(uint64_t) { return 0; }  // the sum of the lanes before
};

// An integer that has the logit's place among all: -inf first; -0 equals 0.
JL_HOST_DEVICE uint32_t logit_order(float logit) {
    const uint32_t bits = bits_of_float(logit + 0.0f);
    return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// Categorical: P(k) = e^(logits[k] / temperature) / sum, over the top_k largest logits and whatever equals the last of
// them; top_k 0: over all. -inf is a mask; NaN or +inf, or nothing but -inf, is no distribution.
//
// A level's mass is an integer, 2^30 e^((logit - largest) / temperature), to the nearest: sums are exact, so threads that
// share the work, or do not, draw the same; parts below 2^-31 of the largest are not drawn.
template <class Group = Alone>
JL_HOST_DEVICE Draw draw_categorical(const float* logits, int levels, float temperature, int top_k,
                                     uint32_t u) {
    const float by = 1.0f / temperature;
    float largest = -INFINITY;
    uint64_t bad = 0;
    for (int k = Group::lane(); k < levels; k += Group::kLanes) {
        bad += !(logits[k] < INFINITY);
        largest = logits[k] > largest ? logits[k] : largest;
    }
    largest = Group::largest(largest);
    if (Group::sum(bad) != 0 || largest == -INFINITY) return {-1, 0.0f};

    uint32_t least = 0;  // the k-th largest logit's order, bit by bit
    for (uint32_t bit = 0x80000000u; bit != 0 && top_k > 0 && top_k < levels; bit /= 2) {
        uint64_t count = 0;
        for (int k = Group::lane(); k < levels; k += Group::kLanes)
            count += logit_order(logits[k]) >= (least | bit);
        if (Group::sum(count) >= static_cast<uint64_t>(top_k)) least |= bit;
    }
    const auto mass = [&](int k) -> uint64_t {
        if (k >= levels || logit_order(logits[k]) < least) return 0;
        return static_cast<uint64_t>(polynomial_exp((logits[k] - largest) * by) * 0x1p30f + 0.5f);
    };
    uint64_t total = 0;
    for (int k = Group::lane(); k < levels; k += Group::kLanes) total += mass(k);
    total = Group::sum(total);

    // floor(u total / 2^32): the level is the one whose masses reach beyond it
    const uint64_t target = (total >> 32) * u + ((total & 0xffffffffu) * u >> 32);
    uint64_t passed = 0;
    for (int first = 0; first < levels; first += Group::kLanes) {
        const uint64_t own = mass(first + Group::lane()), all = Group::sum(own);
        if (target >= passed + all) {
            passed += all;
            continue;
        }
        const uint64_t start = passed + Group::before(own);
        const bool mine = start <= target && target < start + own;
        const uint64_t lower = Group::sum(mine ? start : 0), upper = Group::sum(mine ? start + own : 0),
                       level = Group::sum(mine ? static_cast<uint64_t>(first + Group::lane()) : 0);
        // 0 and the total are no edges: beyond them is no level
        uint64_t margin = total;
        if (lower > 0) margin = target - lower;
        if (upper < total && upper - target < margin) margin = upper - target;
        return {static_cast<int32_t>(level), static_cast<float>(margin) / static_cast<float>(total)};
    }
    return {-1, 0.0f};  // not reached: target < total
}

// Bernoulli: level 1 with probability sigmoid(logit / temperature), at the upper end of u.
JL_HOST_DEVICE Draw draw_bernoulli(float logit, float temperature, uint32_t u) {
    const float logits[2] = {0.0f, logit};
    return draw_categorical<Alone>(logits, 2, temperature, 0, u);
}

// One channel of a discretized logistic: the level whose bin holds mean + scale log(u / (1 - u)).
JL_HOST_DEVICE Draw draw_logistic(float mean, float log_scale, int levels, float temperature, uint32_t u) {
    const float scale = fast_exp(log_scale < kLeastLogScale ? kLeastLogScale : log_scale) * temperature;
    // The smaller of u and 1 - u, which keeps its digits.
    const bool upper = u >= 0x80000000u;
    const float tail = (static_cast<float>(upper ? ~u : u) + 0.5f) * 0x1p-32f;
    const float distance = fast_log(tail) - fast_log(1.0f - tail);
    const float value = mean + scale * (upper ? -distance : distance);
    if (!(fabsf(mean) < INFINITY && scale < INFINITY)) return {-1, 0.0f};
    const float last = static_cast<float>(levels - 1), place = rintf((value + 1.0f) * 0.5f * last);
    const int level = place > 0.0f ? place < last ? static_cast<int>(place) : levels - 1 : 0;
    const float half_bin = 1.0f / last, v = level_value(level, levels);
    const float own = upper ? 1.0f - tail : tail;
    float margin = 1.0f;
    if (level > 0) margin = fabsf(own - sigmoid((v - half_bin - mean) / scale));
    if (level < levels - 1) {
        const float above = fabsf(own - sigmoid((v + half_bin - mean) / scale));
        margin = above < margin ? above : margin;
    }
    return {level, margin};
}

// Logistic mixture (mixture.h): one word chooses the pixel's component, then u[c] draws channel c, coupled to the levels
// drawn before it. temperature divides the logits and multiplies the scales. Writes a level for each channel; returns the
// least margin of all these draws. Levels are -1 from the first one on that has no distribution.
JL_HOST_DEVICE float draw_mixture(const float* parameters, MixtureLayout at, int levels, float temperature,
                                  uint32_t u_component, const uint32_t* u, int32_t* out) {
    const Draw component = draw_categorical<Alone>(parameters, at.components, temperature, 0, u_component);
    float margin = component.margin;
    bool valid = component.level >= 0;
    for (int c = 0; c < at.channels; ++c) {
        out[c] = -1;
        if (!valid) continue;
        const int m = component.level;
        float mean = parameters[at.mean(c, m)];
        for (int j = 0; j < c; ++j)
            mean += fast_tanh(parameters[at.coupling(c, j, m)]) * level_value(out[j], levels);
        const Draw channel = draw_logistic(mean, parameters[at.log_scale(c, m)], levels, temperature, u[c]);
        out[c] = channel.level;
        margin = channel.margin < margin ? channel.margin : margin;
        valid = channel.level >= 0;
    }
    return margin;
}

}  // namespace jlatent::JL_TABLE

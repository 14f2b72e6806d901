// Losses of one value or pixel, straight from the formulas of likelihood_levels.h and mixture.h, with more digits than fp64.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace jlatent::test {

using Wide = long double;

// log(sigmoid(a) - sigmoid(b)) = log(sinh(w / 2) / (2 cosh(a / 2) cosh(b / 2))), w = a - b
inline Wide log_difference(Wide a, Wide b, Wide w) {
    // sinh and cosh without e^|y| / 2, which cancels
    const auto rest = [](Wide y) { return std::abs(y / 2) + std::log1p(std::exp(-std::abs(y))); };
    return w / 2 + std::log(-std::expm1(-w)) - rest(a) - rest(b);
}

// -log(1 + e^-a)
inline Wide log_sigmoid(Wide a) { return (a < 0 ? a : 0) - std::log1p(std::exp(-std::abs(a))); }

inline Wide categorical(const std::vector<Wide>& logits, const int32_t* x) {
    Wide sum = 0;
    for (const Wide logit : logits) sum += std::exp(logit - logits[static_cast<size_t>(*x)]);
    return std::log(sum);
}

inline Wide mixture(const std::vector<Wide>& p, const int32_t* x, int channels, int levels, int components) {
    const auto at = [&](int group, int m) { return p[static_cast<size_t>(group * components + m)]; };
    const auto value = [&](int c) { return Wide{2} * x[c] / (levels - 1) - 1; };
    Wide prior = 0, joint = 0;
    for (int m = 0; m < components; ++m) {
        Wide log_p = at(0, m);
        for (int c = 0; c < channels; ++c) {
            Wide mean = at(1 + c, m);
            for (int j = 0; j < c; ++j)
                mean += std::tanh(at(1 + 2 * channels + c * (c - 1) / 2 + j, m)) * value(j);
            const Wide scale = std::exp(std::max(at(1 + channels + c, m), Wide{-7}));
            const Wide a = (value(c) + Wide{1} / (levels - 1) - mean) / scale,
                       b = (value(c) - Wide{1} / (levels - 1) - mean) / scale;
            log_p += x[c] == 0            ? log_sigmoid(a)
                     : x[c] == levels - 1 ? log_sigmoid(-b)
                                          : log_difference(a, b, a - b);
        }
        prior += std::exp(at(0, m));
        joint += std::exp(log_p);
    }
    return std::log(prior) - std::log(joint);
}

}  // namespace jlatent::test

// pixel_sampler: the levels of one pixel, from the last node's parameters.
#pragma once
#include "likelihood/draw.h"
#include "pixel_sampler.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kMostMixtureChannels = 8;

// Parameters of one component of the mixture.
JL_HOST_DEVICE int64_t mixture_parameters(int64_t channels) {
    return 1 + 2 * channels + channels * (channels - 1) / 2;
}

// Whether so many channels of the last node are parameters of a pixel.
inline jl_status check_draw(const jl_pixel_sampler& s, int64_t parameters) {
    const auto number = [](int64_t value) { return static_cast<long long>(value); };
    JL_REQUIRE(s.top_k == 0 || s.distribution == JL_CATEGORICAL,
               "pixel_sampler: top_k is for the categorical distribution, got %d", s.top_k);
    switch (s.distribution) {
        case JL_BERNOULLI:
            JL_REQUIRE(s.levels == 2 && parameters == s.channels,
                       "pixel_sampler: Bernoulli has 2 levels and %lld parameters, got %d levels and %lld "
                       "channels of "
                       "the last node",
                       number(s.channels), s.levels, number(parameters));
            return JL_OK;
        case JL_CATEGORICAL:
            JL_REQUIRE(
                parameters % s.levels == 0 && parameters / s.levels == s.channels,
                "pixel_sampler: %d levels of %lld channels are so many parameters, got %lld channels of the "
                "last node",
                s.levels, number(s.channels), number(parameters));
            return JL_OK;
        case JL_LOGISTIC_MIXTURE:
            JL_REQUIRE(s.groups == 1 && s.channels <= kMostMixtureChannels,
                       "pixel_sampler: the mixture draws at most 8 channels, in 1 group, got %lld in %d",
                       number(s.channels), s.groups);
            JL_REQUIRE(
                parameters % mixture_parameters(s.channels) == 0,
                "pixel_sampler: a mixture of %lld channels has a multiple of %lld parameters, got %lld "
                "channels of the last node",
                number(s.channels), number(mixture_parameters(s.channels)), number(parameters));
            return JL_OK;
        default:
            return fail(JL_BAD_ARGUMENT, "pixel_sampler: distribution must be 0, 3 or 4, got %d",
                        s.distribution);
    }
}

// What is given of a value, as a level; -1 for one that there is not.
JL_HOST_DEVICE int32_t level_given(const jl_pixel_sampler& s, int32_t given) {
    return given < s.levels ? given : -1;
}

// Channels [first, first + count) of pixel `element` of all; parameters, given and levels are the pixel's. Returns the least
// margin. A warp's first lane writes the levels.
template <class Group = Alone>
JL_HOST_DEVICE float draw_pixel(const jl_pixel_sampler& s, const jl_random& random, int64_t element,
                                int64_t first, int64_t count, const float* parameters,
                                int64_t parameter_count, const int32_t* given, int32_t* levels) {
    const bool writes = Group::lane() == 0;
    const int64_t value = element * s.channels;
    float margin = 1.0f;
    if (s.distribution == JL_LOGISTIC_MIXTURE) {
        bool all = given != nullptr;
        uint32_t words[kMostMixtureChannels];
        int32_t drawn[kMostMixtureChannels];
        for (int64_t c = 0; c < count; ++c) {
            words[c] = draw_word(value + c, 0, random, s.site);
            drawn[c] = all ? level_given(s, given[c]) : 0;
            all = all && given[c] >= 0;
        }
        const MixtureLayout at = {static_cast<int>(parameter_count / mixture_parameters(count)),
                                  static_cast<int>(count)};
        if (!all)
            margin = draw_mixture(parameters, at, s.levels, s.temperature,
                                  draw_word(element, 1, random, s.site), words, drawn);
        for (int64_t c = 0; c < count && writes; ++c) levels[c] = drawn[c];
        return margin;
    }
    for (int64_t c = first; c < first + count; ++c) {
        int32_t level = given == nullptr ? -1 : level_given(s, given[c]);
        if (given == nullptr || given[c] < 0) {
            const uint32_t word = draw_word(value + c, 0, random, s.site);
            const Draw draw = s.distribution == JL_BERNOULLI
                                  ? draw_bernoulli(parameters[c], s.temperature, word)
                                  : draw_categorical<Group>(parameters + c * s.levels, s.levels,
                                                            s.temperature, s.top_k, word);
            level = draw.level;
            margin = draw.margin < margin ? draw.margin : margin;
        }
        if (writes) levels[c] = level;
    }
    return margin;
}

}  // namespace jlatent::JL_TABLE

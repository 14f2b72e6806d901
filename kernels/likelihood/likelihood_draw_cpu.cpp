#include "draw.h"
#include "likelihood_levels.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {

jl_status likelihood_draw(const jl_likelihood_levels* shape, const float* parameters, const jl_random* random,
                          uint32_t site, float temperature, int32_t top_k, int32_t* x, jl_stream) {
    if (const jl_status status = check_likelihood_draw(shape, parameters, random, temperature, top_k, x))
        return status;
    const jl_likelihood_levels s = *shape;
    const int64_t units = s.rows * units_a_row(s), size = parameters_a_unit(s);
    parallel_for(units, units * size, [=](int64_t i) {
        const float* p = parameters + i * size;
        if (is_mixture(s)) {
            uint32_t words[kMostChannels];
            for (int c = 0; c < s.channels; ++c) words[c] = draw_word(i * s.channels + c, 0, *random, site);
            draw_mixture(p, {s.components, s.channels}, s.levels, temperature, draw_word(i, 1, *random, site),
                         words, x + i * s.channels);
            return;
        }
        const uint32_t word = draw_word(i, 0, *random, site);
        const Draw draw = s.distribution == JL_BERNOULLI
                              ? draw_bernoulli(*p, temperature, word)
                              : draw_categorical(p, s.levels, temperature, top_k, word);
        x[i] = draw.level;
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

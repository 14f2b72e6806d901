#include "draw_cuda.h"
#include "likelihood_levels.h"

namespace jlatent::JL_TABLE {
namespace {

// A warp draws a value.
__global__ void __launch_bounds__(kBlock)
    categorical_kernel(jl_likelihood_levels s, const float* __restrict__ logits,
                       const jl_random* __restrict__ random, uint32_t site, float temperature, int32_t top_k,
                       int32_t* __restrict__ x) {
    const int64_t count = s.rows * units_a_row(s);
    for (int64_t i = (blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x) / kWarp; i < count;
         i += gridDim.x * static_cast<int64_t>(kBlock / kWarp)) {
        const Draw draw = draw_categorical<Warp>(logits + i * s.levels, s.levels, temperature, top_k,
                                                 draw_word(i, 0, *random, site));
        if (Warp::lane() == 0) x[i] = draw.level;
    }
}

// A thread draws a value, or a mixture's pixel.
__global__ void __launch_bounds__(kBlock)
    small_kernel(jl_likelihood_levels s, const float* __restrict__ parameters,
                 const jl_random* __restrict__ random, uint32_t site, float temperature,
                 int32_t* __restrict__ x) {
    const int64_t count = s.rows * units_a_row(s);
    for (int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x; i < count;
         i += gridDim.x * static_cast<int64_t>(kBlock)) {
        if (s.distribution == JL_BERNOULLI) {
            x[i] = draw_bernoulli(parameters[i], temperature, draw_word(i, 0, *random, site)).level;
            continue;
        }
        const MixtureLayout at = {s.components, s.channels};
        uint32_t words[kMostChannels];
        for (int c = 0; c < s.channels; ++c) words[c] = draw_word(i * s.channels + c, 0, *random, site);
        draw_mixture(parameters + i * at.size(), at, s.levels, temperature, draw_word(i, 1, *random, site),
                     words, x + i * s.channels);
    }
}

}  // namespace

jl_status likelihood_draw(const jl_likelihood_levels* shape, const float* parameters, const jl_random* random,
                          uint32_t site, float temperature, int32_t top_k, int32_t* x, jl_stream stream) {
    if (const jl_status status = check_likelihood_draw(shape, parameters, random, temperature, top_k, x))
        return status;
    const jl_likelihood_levels s = *shape;
    const int64_t count = s.rows * units_a_row(s);
    if (s.distribution == JL_CATEGORICAL)
        return launch("likelihood_draw", fixed_grid((count * kWarp + kBlock - 1) / kBlock), kBlock, 0, stream,
                      categorical_kernel, s, parameters, random, site, temperature, top_k, x);
    return launch("likelihood_draw", fixed_grid((count + kBlock - 1) / kBlock), kBlock, 0, stream,
                  small_kernel, s, parameters, random, site, temperature, x);
}

}  // namespace jlatent::JL_TABLE

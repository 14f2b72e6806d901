#include "concat_elu.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {

jl_status concat_elu_forward(const float* x, float* y, int64_t rows, int64_t channels, jl_stream) {
    if (const jl_status status = check_concat_elu("concat_elu_forward", x, y, rows, channels)) return status;
    parallel_for(rows, rows * channels, [=](int64_t r) {
        const float* from = x + r * channels;
        float *to = y + 2 * r * channels, *to_minus = to + channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const EluPair pair = elu_pair(from[c]);
            to[c] = pair.of_x;
            to_minus[c] = pair.of_minus_x;
        }
    });
    return JL_OK;
}

jl_status concat_elu_backward(const float* x, const float* dy, float* dx, int64_t rows, int64_t channels,
                              jl_stream) {
    if (const jl_status status = check_concat_elu("concat_elu_backward", x, dy, rows, channels))
        return status;
    if (const jl_status status = check_concat_elu("concat_elu_backward", x, dx, rows, channels))
        return status;
    parallel_for(rows, rows * channels, [=](int64_t r) {
        const float *from = x + r * channels, *d = dy + 2 * r * channels, *d_minus = d + channels;
        float* to = dx + r * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) to[c] = elu_pair_gradient(from[c], d[c], d_minus[c]);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

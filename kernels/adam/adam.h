// adam: one optimizer step over all tensors, with global-norm clipping and a weight average
// [Kingma, Ba 2015, alg. 1; Loshchilov, Hutter 2019; Pascanu et al. 2013]
//
// With t = state->step + 1, N = sqrt(sum g^2) over every tensor, c = min(1, max_norm / N) (1 where max_norm is 0), g' = c g:
//   m = beta1 m + (1 - beta1) g'
//   v = beta2 v + (1 - beta2) g'^2
//   value -= learning_rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay value)
//   average = average_decay average + (1 - average_decay) value
// A norm that is not finite, or whose square overflows f32, changes no tensor: state->skipped counts it,
// state->scale is 0, state->step stays. With state->stop neither do the steps after it change anything, and are counted: who
// looks at the state late finds the tensors as that step found them.
//
// tensors         [tensor_count] descriptors in the table's memory, read only; a null gradient leaves its tensor alone
// state           in the table's memory; step, skipped, gradient_norm and scale are written
// workspace       adam_workspace(tensor_count) bytes
// deterministic   yes: the norm is summed in a fixed order
// bytes           32 a parameter (40 with the average): the gradient is read twice
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// Elements of one tensor, scaled by what the whole step shares.
struct AdamStep {
    bool skipped;
    float scale;  // of the gradients
    float beta1, beta2, epsilon, learning_rate, average_decay;
    float correction1, correction2;  // 1 / (1 - beta^t)

    // After the norm is known: what this step does. Counts it in the state.
    static JL_HOST_DEVICE AdamStep begin(jl_adam_state* state, float norm) {
        const bool stopped = state->stop != 0 && state->skipped != 0;
        const bool skipped = stopped || norm - norm != 0.0f;
        state->gradient_norm = norm;
        state->scale = skipped                                            ? 0.0f
                       : state->max_norm > 0.0f && norm > state->max_norm ? state->max_norm / norm
                                                                          : 1.0f;
        if (skipped)
            ++state->skipped;
        else
            ++state->step;
        // In double: beta2^t near 1 leaves few digits of 1 - beta2^t in f32.
        const double t = static_cast<double>(state->step);
        return {skipped,
                state->scale,
                state->beta1,
                state->beta2,
                state->epsilon,
                state->learning_rate,
                state->average_decay,
                static_cast<float>(1.0 / (1.0 - pow(static_cast<double>(state->beta1), t))),
                static_cast<float>(1.0 / (1.0 - pow(static_cast<double>(state->beta2), t)))};
    }

    JL_HOST_DEVICE void update(float gradient, float decay, float* value, float* first, float* second) const {
        const float g = scale * gradient;
        *first = beta1 * *first + (1.0f - beta1) * g;
        *second = beta2 * *second + (1.0f - beta2) * g * g;
        *value -= learning_rate *
                  (*first * correction1 / (sqrtf(*second * correction2) + epsilon) + decay * *value);
    }

    JL_HOST_DEVICE float averaged(float average, float value) const {
        return average_decay * average + (1.0f - average_decay) * value;
    }
};

size_t adam_workspace(int32_t tensor_count);

// What every table refuses.
inline jl_status check_adam(const jl_adam_tensor* tensors, int32_t tensor_count, const jl_adam_state* state,
                            jl_workspace workspace) {
    JL_REQUIRE(tensor_count >= 0, "adam_step: tensor_count must not be negative, got %d", tensor_count);
    JL_REQUIRE(tensor_count == 0 || tensors != nullptr, "adam_step: tensors is null");
    JL_REQUIRE(state != nullptr, "adam_step: state is null");
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= adam_workspace(tensor_count),
               "adam_step: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               adam_workspace(tensor_count));
    return JL_OK;
}

jl_status adam_step(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                    jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE

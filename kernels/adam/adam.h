// adam: one optimizer step over all tensors, with global-norm clipping and a weight average
//                                                      [Kingma, Ba 2015, alg. 1; Loshchilov, Hutter 2019;
//                                                      Pascanu et al. 2013]
// With t = state->step + 1, N = sqrt(sum g^2) over every tensor, c = min(1, max_norm / N) (1 where max_norm
// is 0), g' = c g:
//   m = beta1 m + (1 - beta1) g',   v = beta2 v + (1 - beta2) g'^2
//   value -= learning_rate (m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + weight_decay value)
//   average = average_decay average + (1 - average_decay) value
// A norm that is not finite changes no tensor: state->skipped counts it, state->scale is 0, state->step
// stays.
//
// tensors         [tensor_count] descriptors in the table's memory, read only; a tensor whose gradient is
// null is left alone state           in the table's memory; step, skipped, gradient_norm and scale are
// written workspace       adam_workspace(tensor_count) bytes deterministic   yes: the norm is summed in a
// fixed order bytes           32 a parameter (40 with the average): the gradient is read twice
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

size_t adam_workspace(int32_t tensor_count);
jl_status adam_step(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                    jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE

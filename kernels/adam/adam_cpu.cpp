#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "adam.h"
#include "parallel.h"
namespace jlatent::JL_TABLE {
size_t adam_workspace(int32_t tensor_count) { return 0; }
jl_status adam_step(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                    jl_workspace workspace, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
}  // namespace jlatent::JL_TABLE

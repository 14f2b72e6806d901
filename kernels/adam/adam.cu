#include "adam.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// The descriptors lie in device memory, where the host cannot see the counts: a fixed grid walks all tensors,
// block b taking every gridDim-th chunk.
constexpr int64_t kChunk = 4 * kBlock;  // elements a block and turn: a quad a thread
constexpr unsigned kBlocks = 2 * kMultiprocessors;

// body(tensor, i, n): quad at i with n <= 4 elements of a tensor that has a gradient
template <class Body>
__device__ inline void for_each_quad(const jl_adam_tensor* tensors, int32_t tensor_count, Body body) {
    int64_t chunk = blockIdx.x;  // this block's next, counted from the start of the tensor
    for (int32_t k = 0; k < tensor_count; ++k) {
        const jl_adam_tensor t = tensors[k];
        if (t.gradient == nullptr) continue;
        const int64_t chunks = (t.count + kChunk - 1) / kChunk;
        for (; chunk < chunks; chunk += gridDim.x) {
            const int64_t i = chunk * kChunk + 4 * threadIdx.x, left = t.count - i;
            if (left > 0) body(t, i, left < 4 ? static_cast<int>(left) : 4);
        }
        chunk -= chunks;
    }
}

__global__ void __launch_bounds__(kBlock)
    norm_kernel(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state, AdamStep* step,
                float* partial, unsigned* counter) {
    float sum = 0.0f;
    for_each_quad(tensors, tensor_count, [&](const jl_adam_tensor& t, int64_t i, int n) {
        const Quad g = load_quad(t.gradient, i, n);
        // the quad first: fewer terms rounded against a large sum
        sum += (g.v[0] * g.v[0] + g.v[1] * g.v[1]) + (g.v[2] * g.v[2] + g.v[3] * g.v[3]);
    });
    sum = block_sum(sum);
    if (threadIdx.x == 0) partial[blockIdx.x] = sum;
    if (!last_block(counter)) return;
    float total = 0.0f;
    for (unsigned b = threadIdx.x; b < gridDim.x; b += kBlock) total += __ldcg(partial + b);
    total = block_sum(total);
    if (threadIdx.x == 0) *step = AdamStep::begin(state, sqrtf(total));
}

__global__ void __launch_bounds__(kBlock)
    update_kernel(const jl_adam_tensor* tensors, int32_t tensor_count, const AdamStep* shared_step) {
    const AdamStep step = *shared_step;
    if (step.skipped) return;
    for_each_quad(tensors, tensor_count, [&](const jl_adam_tensor& t, int64_t i, int n) {
        const Quad g = load_quad(t.gradient, i, n);
        Quad value = load_quad(t.value, i, n), first = load_quad(t.first_moment, i, n);
        Quad second = load_quad(t.second_moment, i, n);
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            step.update(g.v[k], t.weight_decay, &value.v[k], &first.v[k], &second.v[k]);
        store_quad(t.value, i, n, value);
        store_quad(t.first_moment, i, n, first);
        store_quad(t.second_moment, i, n, second);
        if (t.average == nullptr) return;
        Quad average = load_quad(t.average, i, n);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) average.v[k] = step.averaged(average.v[k], value.v[k]);
        store_quad(t.average, i, n, average);
    });
}

}  // namespace

// The step first, then the blocks' partial sums.
size_t adam_workspace(int32_t) { return kWorkspaceHeader + sizeof(AdamStep) + kBlocks * sizeof(float); }

jl_status adam_step(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                    jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_adam(tensors, tensor_count, state, workspace)) return status;
    AdamStep* step = reinterpret_cast<AdamStep*>(workspace_floats(workspace));
    float* partial = reinterpret_cast<float*>(step + 1);
    if (const jl_status status = launch("adam_step (norm)", kBlocks, kBlock, 0, stream, norm_kernel, tensors,
                                        tensor_count, state, step, partial, workspace_counter(workspace)))
        return status;
    return launch("adam_step", kBlocks, kBlock, 0, stream, update_kernel, tensors, tensor_count, step);
}

}  // namespace jlatent::JL_TABLE

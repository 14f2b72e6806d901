#include "adam.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kChunk = 4096;    // elements a task, at least
constexpr int64_t kMostTasks = 64;  // a tensor: fixed, so that the norm's sum keeps its order

int64_t chunk_of(int64_t count) {
    const int64_t even = (count + kMostTasks - 1) / kMostTasks;
    return even > kChunk ? even : kChunk;
}

// body(start, end, task) over the chunks of a tensor
template <class Body>
void for_each_chunk(const jl_adam_tensor& t, Body body) {
    const int64_t chunk = chunk_of(t.count);
    parallel_for((t.count + chunk - 1) / chunk, t.count, [&](int64_t task) {
        const int64_t start = task * chunk;
        body(start, start + chunk < t.count ? start + chunk : t.count, task);
    });
}

constexpr int64_t kPiece = 512;  // squares summed in f32: few, as rounding errors of equal terms add up

double square_sum(const float* x, int64_t start, int64_t end) {
    double total = 0.0;
    for (int64_t piece = start; piece < end; piece += kPiece) {
        const int64_t stop = piece + kPiece < end ? piece + kPiece : end;
        float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
        for (int64_t i = piece; i < stop; ++i) sum += x[i] * x[i];
        total += sum;
    }
    return total;
}

}  // namespace

size_t adam_workspace(int32_t) { return kWorkspaceHeader + kMostTasks * sizeof(float); }

jl_status adam_step(const jl_adam_tensor* tensors, int32_t tensor_count, jl_adam_state* state,
                    jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_adam(tensors, tensor_count, state, workspace)) return status;
    float* partial = workspace_floats(workspace);
    double square = 0.0;
    for (int32_t i = 0; i < tensor_count; ++i) {
        const jl_adam_tensor& t = tensors[i];
        if (t.gradient == nullptr) continue;
        for_each_chunk(t, [&](int64_t start, int64_t end, int64_t task) {
            partial[task] = static_cast<float>(square_sum(t.gradient, start, end));
        });
        const int64_t chunk = chunk_of(t.count);
        square += static_cast<double>(ordered_sum(partial, (t.count + chunk - 1) / chunk));
    }
    const AdamStep step = AdamStep::begin(state, static_cast<float>(sqrt(square)));
    if (step.skipped) return JL_OK;
    for (int32_t i = 0; i < tensor_count; ++i) {
        const jl_adam_tensor t = tensors[i];
        if (t.gradient == nullptr) continue;
        for_each_chunk(t, [&](int64_t start, int64_t end, int64_t) {
#pragma omp simd
            for (int64_t k = start; k < end; ++k)
                step.update(t.gradient[k], t.weight_decay, t.value + k, t.first_moment + k,
                            t.second_moment + k);
            if (t.average == nullptr) return;
#pragma omp simd
            for (int64_t k = start; k < end; ++k) t.average[k] = step.averaged(t.average[k], t.value[k]);
        });
    }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

#include "likelihood_levels.h"

#include "launch.h"
#include "mixture_nll.h"

namespace jlatent::JL_TABLE {
namespace {

struct Arguments {
    // d_parameters may be the same array: what is overwritten was read before.
    const float* parameters;
    const int32_t* x;
    const float* row_weight;
    const float* weight;
    float* nll_rows;
    float* nll_total;
    float* d_parameters;
    float* partial;  // [rows, tasks_a_row]
    unsigned* counter;
};

JL_HOST_DEVICE int64_t units_a_task(const jl_likelihood_levels& s) {
    if (is_mixture(s)) return kWarp;  // a pixel a thread, a block of one warp
    const int64_t values = 16384 / (s.levels < 1 ? 1 : s.levels) / 8 * 8;
    return values < 8 ? 8 : values < 64 ? values : 64;  // eight warps share them
}

JL_HOST_DEVICE int64_t tasks_a_row(const jl_likelihood_levels& s) {
    return (units_a_row(s) + units_a_task(s) - 1) / units_a_task(s);
}

// A task is some neighbouring units of one row.
struct Task {
    int64_t row, first, count;
    __device__ Task(const jl_likelihood_levels& s, int64_t task) {
        const int64_t n = tasks_a_row(s), all = units_a_row(s), most = units_a_task(s);
        row = task / n;
        first = task % n * most;
        count = all - first < most ? all - first : most;
    }
};

__device__ float task_weight(const Arguments& a, int64_t row) {
    return (a.weight == nullptr ? 1.0f : *a.weight) * (a.row_weight == nullptr ? 1.0f : a.row_weight[row]);
}

// The last block to come adds the tasks' losses, a warp a row, in a fixed order.
__device__ void finish(const jl_likelihood_levels& s, const Arguments& a) {
    if (!last_block(a.counter)) return;
    const int64_t n = tasks_a_row(s);
    const int lane = threadIdx.x % kWarp;
    float weighted = 0.0f;
    for (int64_t row = threadIdx.x / kWarp; row < s.rows; row += blockDim.x / kWarp) {
        float sum = 0.0f;
        for (int64_t task = lane; task < n; task += kWarp) sum += __ldcg(a.partial + row * n + task);
        sum = warp_sum(sum);
        if (lane != 0) continue;
        if (a.nll_rows != nullptr) a.nll_rows[row] = sum;
        weighted += (a.row_weight == nullptr ? 1.0f : a.row_weight[row]) * sum;
    }
    weighted = block_sum(weighted);
    if (threadIdx.x == 0 && a.nll_total != nullptr)
        *a.nll_total = (a.weight == nullptr ? 1.0f : *a.weight) * weighted;
}

// A warp takes a value: its largest logit, the sum, the gradient.
__device__ float categorical_value(const float* logits, int32_t x, int32_t levels, float weight, float* g) {
    const int lane = threadIdx.x % kWarp;
    const bool known = x >= 0 && x < levels;
    const float own = known ? logits[x] : NAN;
    float largest = -INFINITY, sum = 0.0f;
    for (int64_t k = 4 * lane; k < levels; k += 4 * kWarp) {
        const int n = levels - k < 4 ? static_cast<int>(levels - k) : 4;
        const Quad q = load_quad(logits, k, n);
        JL_UNROLL
        for (int i = 0; i < 4; ++i)
            if (i < n && q.v[i] > largest) largest = q.v[i];
    }
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, largest, offset);
        largest = other > largest ? other : largest;
    }
    for (int64_t k = 4 * lane; k < levels; k += 4 * kWarp) {
        const int n = levels - k < 4 ? static_cast<int>(levels - k) : 4;
        const Quad q = load_quad(logits, k, n);
        JL_UNROLL
        for (int i = 0; i < 4; ++i)
            if (i < n) sum += fast_exp(q.v[i] - largest);
    }
    sum = warp_sum(sum);
    __syncwarp();  // all lanes have read `own`, which g may overwrite
    const float by = known ? weight / sum : NAN;
    for (int64_t k = 4 * lane; g != nullptr && k < levels; k += 4 * kWarp) {
        const int n = levels - k < 4 ? static_cast<int>(levels - k) : 4;
        Quad q = load_quad(logits, k, n);
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            q.v[i] = by * fast_exp(q.v[i] - largest);
            if (k + i == x) q.v[i] -= weight;
        }
        store_quad(g, k, n, q);
    }
    return logf(sum) - (own - largest);
}

__global__ void __launch_bounds__(kBlock) categorical_kernel(jl_likelihood_levels s, Arguments a) {
    for (int64_t t = blockIdx.x; t < s.rows * tasks_a_row(s); t += gridDim.x) {
        const Task task(s, t);
        const float weight = task_weight(a, task.row);
        const int64_t all = units_a_row(s);
        float sum = 0.0f;
        for (int64_t i = task.first + threadIdx.x / kWarp; i < task.first + task.count; i += kBlock / kWarp) {
            const int64_t at = (task.row * all + i) * s.levels;
            sum += categorical_value(a.parameters + at, a.x[task.row / s.samples * all + i], s.levels, weight,
                                     a.d_parameters == nullptr ? nullptr : a.d_parameters + at);
        }
        sum = block_sum(threadIdx.x % kWarp == 0 ? sum : 0.0f);
        if (threadIdx.x == 0) a.partial[t] = sum;
    }
    finish(s, a);
}

// A warp brings its pixels' parameters to shared memory, with an odd stride so that its threads' words lie in
// different banks; each thread works on one pixel there; the gradients go back together.
template <bool kGradient>
__global__ void __launch_bounds__(kWarp) mixture_kernel(jl_likelihood_levels s, Arguments a) {
    JL_DYNAMIC_SHARED(float, shared);
    const MixtureLayout at = {s.components, s.channels};
    const int size = at.size(), stride = at.floats() | 1;
    float* own = shared + threadIdx.x * stride;
    for (int64_t t = blockIdx.x; t < s.rows * tasks_a_row(s); t += gridDim.x) {
        const Task task(s, t);
        const int count = static_cast<int>(task.count) * size;
        const int64_t first = (task.row * s.pixels + task.first) * size;
        for (int i = threadIdx.x; i < count; i += kWarp)
            shared[i / size * stride + i % size] = __ldcs(a.parameters + first + i);
        __syncwarp();
        float nll = 0.0f;
        if (threadIdx.x < task.count) {
            const int64_t pixel = task.row / s.samples * s.pixels + task.first + threadIdx.x;
            mixture_nll<1, kGradient>(at, s.levels, a.x + pixel * s.channels, task_weight(a, task.row), own,
                                      &nll);
        }
        nll = warp_sum(nll);
        if (threadIdx.x == 0) a.partial[t] = nll;
        __syncwarp();
        for (int i = threadIdx.x; kGradient && i < count; i += kWarp)
            __stcs(a.d_parameters + first + i, shared[i / size * stride + i % size]);
        __syncwarp();
    }
    finish(s, a);
}

__global__ void levels_kernel(const float* __restrict__ values, int64_t count, float last,
                              int32_t* __restrict__ x) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < count) x[i] = level_of_value(values[i], last);
}

}  // namespace

size_t likelihood_levels_workspace(const jl_likelihood_levels* shape) {
    return kWorkspaceHeader + static_cast<size_t>(shape->rows * tasks_a_row(*shape)) * sizeof(float);
}

jl_status likelihood_levels(const jl_likelihood_levels* shape, const float* parameters, const int32_t* x,
                            const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                            float* d_parameters, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_likelihood_levels(shape, parameters, x, workspace)) return status;
    const jl_likelihood_levels s = *shape;
    const Arguments a = {parameters,
                         x,
                         row_weight,
                         weight,
                         nll_rows,
                         nll_total,
                         d_parameters,
                         workspace_floats(workspace),
                         workspace_counter(workspace)};
    const int64_t tasks = s.rows * tasks_a_row(s);
    if (!is_mixture(s))
        return launch("likelihood_levels", fixed_grid(tasks), kBlock, 0, stream, categorical_kernel, s, a);
    const int stride = MixtureLayout{s.components, s.channels}.floats() | 1;
    return launch("likelihood_levels", fixed_grid(tasks, 32), kWarp,
                  static_cast<size_t>(kWarp * stride) * sizeof(float), stream,
                  d_parameters == nullptr ? mixture_kernel<false> : mixture_kernel<true>, s, a);
}

jl_status levels_of_values(const float* values, int64_t count, int32_t levels, int32_t* x, jl_stream stream) {
    if (const jl_status status = check_levels_of_values(values, count, levels, x)) return status;
    if (count == 0) return JL_OK;
    return launch("levels_of_values", static_cast<unsigned>((count + kBlock - 1) / kBlock), kBlock, 0, stream,
                  levels_kernel, values, count, static_cast<float>(levels - 1), x);
}

}  // namespace jlatent::JL_TABLE

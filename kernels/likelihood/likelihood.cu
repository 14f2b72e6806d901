#include "likelihood.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

struct Arguments {
    // d_parameters may be the same array: a thread reads what it is about to overwrite.
    const float* parameters;
    const float* x;
    const float* row_weight;
    const float* weight;
    float* nll_rows;
    float* nll_total;
    float* d_parameters;
    float* partial;  // [blocks]
    unsigned* counter;
};

constexpr int64_t kShortRow = 256;  // rows up to here are a warp's work, longer ones a block's

// A warp or a block shares a row; blocks walk the rows in grid strides. The order of every sum is fixed.
template <class D, bool kLearnedScale, bool kWarpPerRow>
__global__ void __launch_bounds__(kBlock) likelihood_kernel(jl_likelihood s, Arguments a) {
    constexpr int kThreads = kWarpPerRow ? kWarp : kBlock, kRows = kBlock / kThreads;
    const int lane = threadIdx.x % kThreads;
    const int64_t stride = kLearnedScale ? 2 * s.dims : s.dims;
    const float total_weight = a.weight == nullptr ? 1.0f : *a.weight;
    float weighted = 0.0f;  // sum of this group's rows, in its first thread; 0 in the others
    for (int64_t first = blockIdx.x * static_cast<int64_t>(kRows); first < s.rows;
         first += gridDim.x * static_cast<int64_t>(kRows)) {
        const int64_t row = first + threadIdx.x / kThreads;  // the same for a whole warp
        const bool live = row < s.rows;
        const float w = !live ? 0.0f : a.row_weight == nullptr ? 1.0f : a.row_weight[row];
        const float* parameters = a.parameters + row * stride;
        const float* x = a.x + row / s.samples * s.dims;
        float sum = 0.0f;
        for (int64_t d = 4 * lane; live && d < s.dims; d += 4 * kThreads) {
            const int n = s.dims - d < 4 ? static_cast<int>(s.dims - d) : 4;
            Quad location = load_quad(parameters, d, n);
            Quad scale = {{s.log_scale, s.log_scale, s.log_scale, s.log_scale}};
            if (kLearnedScale) scale = load_quad(parameters + s.dims, d, n);
            const Quad target = load_quad(x, d, n);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                const Nll nll = D::nll(location.v[k], scale.v[k], target.v[k]);
                if (k < n) sum += nll.value;
                location.v[k] = w * total_weight * nll.d_location;
                scale.v[k] = w * total_weight * nll.d_scale;
            }
            if (a.d_parameters != nullptr) {
                store_quad(a.d_parameters + row * stride, d, n, location);
                if (kLearnedScale) store_quad(a.d_parameters + row * stride + s.dims, d, n, scale);
            }
        }
        sum = kWarpPerRow ? warp_sum(sum) : block_sum(sum);
        if (lane == 0 && live) {
            if (a.nll_rows != nullptr) a.nll_rows[row] = sum;
            weighted += w * sum;
        }
    }
    if (a.nll_total == nullptr) return;
    const float block_total = block_sum(weighted);
    if (threadIdx.x == 0) a.partial[blockIdx.x] = block_total;
    if (!last_block(a.counter)) return;
    float total = 0.0f;
    for (unsigned b = threadIdx.x; b < gridDim.x; b += kBlock) total += __ldcg(a.partial + b);
    total = block_sum(total);
    if (threadIdx.x == 0) *a.nll_total = total_weight * total;
}

unsigned blocks(const jl_likelihood& s) {
    return fixed_grid(s.dims <= kShortRow ? (s.rows + kBlock / kWarp - 1) / (kBlock / kWarp) : s.rows);
}

}  // namespace

size_t likelihood_workspace(const jl_likelihood* shape) {
    return kWorkspaceHeader + blocks(*shape) * sizeof(float);
}

jl_status likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                     const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                     float* d_parameters, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_likelihood(shape, parameters, x, workspace)) return status;
    const jl_likelihood s = *shape;
    const Arguments a = {parameters,
                         x,
                         row_weight,
                         weight,
                         nll_rows,
                         nll_total,
                         d_parameters,
                         workspace_floats(workspace),
                         workspace_counter(workspace)};
    return with_distribution(s, [&](auto d) {
        using D = decltype(d);
        const auto kernel = s.dims <= kShortRow ? (s.learned_scale ? likelihood_kernel<D, D::kHasScale, true>
                                                                   : likelihood_kernel<D, false, true>)
                                                : (s.learned_scale ? likelihood_kernel<D, D::kHasScale, false>
                                                                   : likelihood_kernel<D, false, false>);
        return launch("likelihood", blocks(s), kBlock, 0, stream, kernel, s, a);
    });
}

}  // namespace jlatent::JL_TABLE

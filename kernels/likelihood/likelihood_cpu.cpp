#include "likelihood.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kChunk = 4096;  // values a task: long rows are split, and their sums added in order

int64_t chunks(const jl_likelihood& shape) { return (shape.dims + kChunk - 1) / kChunk; }

// Values [start, end) of one row: writes gradients times `weight` if wanted, returns the sum of the nll.
template <class D, bool kLearnedScale, bool kGradient>
float one_chunk(const float* parameters, const float* x, float* gradient, int64_t dims, int64_t start,
                int64_t end, float log_scale, float weight) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = start; d < end; ++d) {
        const Nll nll = D::nll(parameters[d], kLearnedScale ? parameters[dims + d] : log_scale, x[d]);
        sum += nll.value;
        if (kGradient) {
            gradient[d] = weight * nll.d_location;
            if (kLearnedScale) gradient[dims + d] = weight * nll.d_scale;
        }
    }
    return sum;
}

}  // namespace

size_t likelihood_workspace(const jl_likelihood* shape) {
    return kWorkspaceHeader + static_cast<size_t>(shape->rows * chunks(*shape)) * sizeof(float);
}

jl_status likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                     const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                     float* d_parameters, jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_likelihood(shape, parameters, x, workspace)) return status;
    const jl_likelihood s = *shape;
    const float total_weight = weight == nullptr ? 1.0f : *weight;
    const int64_t n = chunks(s), stride = s.learned_scale ? 2 * s.dims : s.dims;
    float* partial = workspace_floats(workspace);
    const jl_status status = with_distribution(s, [&](auto d) {
        using D = decltype(d);
        parallel_for(s.rows * n, s.rows * s.dims, [&](int64_t task) {
            const int64_t row = task / n, start = task % n * kChunk;
            const int64_t end = start + kChunk < s.dims ? start + kChunk : s.dims;
            const float w = total_weight * (row_weight == nullptr ? 1.0f : row_weight[row]);
            const float* p = parameters + row * stride;
            const float* target = x + row / s.samples * s.dims;
            float* g = d_parameters == nullptr ? nullptr : d_parameters + row * stride;
            const auto chunk =
                s.learned_scale
                    ? (g != nullptr ? one_chunk<D, D::kHasScale, true> : one_chunk<D, D::kHasScale, false>)
                    : (g != nullptr ? one_chunk<D, false, true> : one_chunk<D, false, false>);
            partial[task] = chunk(p, target, g, s.dims, start, end, s.log_scale, w);
        });
        return JL_OK;
    });
    if (status != JL_OK) return status;
    double total = 0.0;
    for (int64_t row = 0; row < s.rows; ++row) {
        const float nll = ordered_sum(partial + row * n, n);
        if (nll_rows != nullptr) nll_rows[row] = nll;
        total += static_cast<double>(row_weight == nullptr ? 1.0f : row_weight[row]) * nll;
    }
    if (nll_total != nullptr) *nll_total = static_cast<float>(total_weight * total);
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

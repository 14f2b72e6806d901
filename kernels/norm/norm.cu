#include "norm.h"

#include "columns_cuda.h"
#include "items_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

int64_t all_rows(const jl_norm& s) { return s.outer * s.spatial; }

int64_t join_grid(const jl_norm& s) {
    const int64_t each = Joint::groups_a_block(s);
    return s.outer * ((s.groups + each - 1) / each);
}

// One block a piece of work, for any shape that fits in memory but absurd ones.
jl_status check_grid(const char* operation, int64_t blocks) {
    JL_REQUIRE(blocks < (int64_t{1} << 31), "%s: the shape needs %lld blocks, fewer than 2^31 are possible",
               operation, static_cast<long long>(blocks));
    return JL_OK;
}

template <class... Parameters, class... Args>
jl_status launch_blocks(const char* operation, int64_t blocks, jl_stream stream,
                        void (*kernel)(Parameters...), Args... args) {
    if (blocks == 0) return JL_OK;
    if (const jl_status status = check_grid(operation, blocks)) return status;
    return launch(operation, static_cast<unsigned>(blocks), kBlock, 0, stream, kernel, args...);
}

}  // namespace

// By columns: partial sums [outer, tiles, 3, C], sums [outer, 2, C], what the groups need [outer, groups, 3].
// By items: [tiles, 2, C].
size_t norm_workspace(const jl_norm* shape) {
    const jl_norm& s = *shape;
    const int64_t columns = columns_of(s);
    const int64_t floats =
        by_columns(s) ? s.outer * (3 * Tiling(columns, s.spatial).tiles + 2) * columns + 3 * items_of(s)
                      : Tiling(columns, all_rows(s)).tiles * 2 * columns;
    return kWorkspaceHeader + static_cast<size_t>(floats) * sizeof(float);
}

jl_status norm_forward(const jl_norm* shape, const float* x, const float* gamma, const float* beta, float* y,
                       float* statistics, float* running_mean, float* running_variance,
                       jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_norm_forward(shape, x, running_mean, running_variance, workspace))
        return status;
    const jl_norm s = *shape;
    if (!by_columns(s)) {
        const Items items(s);
        return launch_blocks("norm_forward", items.grid(s), stream, item_forward_kernel, s, items, x, gamma,
                             beta, y, statistics, running_mean, running_variance);
    }
    const Tiling t(columns_of(s), s.spatial);
    float* partial = workspace_floats(workspace);
    float* kept = statistics != nullptr ? statistics : partial + s.outer * (3 * t.tiles + 2) * t.columns;
    if (const jl_status status =
            launch_blocks("norm_forward (tiles)", t.grid(s.outer), stream, statistics_kernel, t, x, partial))
        return status;
    if (const jl_status status =
            launch_blocks("norm_forward (statistics)", join_grid(s), stream, join_statistics_kernel, s, t,
                          Joint::groups_a_block(s), partial, kept, running_mean, running_variance))
        return status;
    if (y == nullptr) return JL_OK;
    return launch_blocks("norm_forward", t.grid(s.outer), stream, normalize_kernel, s, t, x, gamma, beta,
                         kept, y);
}

jl_status norm_inference(const jl_norm* shape, const float* x, const float* gamma, const float* beta,
                         const float* mean, const float* variance, float* y, jl_stream stream) {
    if (const jl_status status = check_norm_inference(shape, x, mean, variance, y)) return status;
    const jl_norm s = *shape;
    const Tiling t(columns_of(s), s.spatial);
    return launch_blocks("norm_inference", t.grid(s.outer), stream, inference_kernel, s, t, x, gamma, beta,
                         mean, variance, y);
}

jl_status norm_backward(const jl_norm* shape, const float* x, const float* gamma, const float* statistics,
                        const float* dy, float* dx, float* d_gamma, float* d_beta, jl_workspace workspace,
                        jl_stream stream) {
    if (const jl_status status = check_norm_backward(shape, x, statistics, dy, workspace)) return status;
    const jl_norm s = *shape;
    const bool parameters = d_gamma != nullptr || d_beta != nullptr;
    const int64_t columns = columns_of(s), parameter_blocks = (2 * columns + kWarp - 1) / kWarp;
    float* partial = workspace_floats(workspace);
    if (!by_columns(s)) {
        const Items items(s);
        if (dx != nullptr)
            if (const jl_status status =
                    launch_blocks("norm_backward", items.grid(s), stream, item_backward_kernel, s, items, x,
                                  gamma, statistics, dy, dx))
                return status;
        if (!parameters) return JL_OK;
        const Tiling t(columns, all_rows(s));
        if (const jl_status status =
                launch_blocks("norm_backward (tiles)", s.outer == 0 ? 0 : t.grid(1), stream,
                              gradient_sums_kernel<true>, s, t, x, statistics, dy, partial))
            return status;
        return launch_blocks("norm_backward (parameters)", parameter_blocks, stream, parameters_kernel,
                             partial, t.tiles, columns, d_gamma, d_beta);
    }
    const Tiling t(columns, s.spatial);
    float* sums = partial + s.outer * 3 * t.tiles * columns;
    float* means = sums + s.outer * 2 * columns;
    if (const jl_status status = launch_blocks("norm_backward (tiles)", t.grid(s.outer), stream,
                                               gradient_sums_kernel<false>, s, t, x, statistics, dy, partial))
        return status;
    if (const jl_status status =
            launch_blocks("norm_backward (groups)", join_grid(s), stream, join_gradients_kernel, s, t,
                          Joint::groups_a_block(s), gamma, partial, sums, means))
        return status;
    if (dx != nullptr)
        if (const jl_status status = launch_blocks("norm_backward", t.grid(s.outer), stream, gradient_kernel,
                                                   s, t, x, gamma, statistics, means, dy, dx))
            return status;
    if (!parameters) return JL_OK;
    return launch_blocks("norm_backward (parameters)", parameter_blocks, stream, parameters_kernel, sums,
                         s.outer, columns, d_gamma, d_beta);
}

}  // namespace jlatent::JL_TABLE

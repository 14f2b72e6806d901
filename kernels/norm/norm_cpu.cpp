#include "norm.h"

#include "columns_cpu.h"
#include "items_cpu.h"

namespace jlatent::JL_TABLE {

// By columns: partial sums [outer, tiles, 3, C], then what the groups need [outer, groups, 3]. By items:
// [blocks, 2, C].
size_t norm_workspace(const jl_norm* shape) {
    const jl_norm& s = *shape;
    const Tiles t(s);
    const int64_t floats =
        by_columns(s) ? s.outer * t.rows * 3 * t.columns + 3 * items_of(s) : outer_blocks(s) * 2 * t.columns;
    return kWorkspaceHeader + static_cast<size_t>(floats) * sizeof(float);
}

jl_status norm_forward(const jl_norm* shape, const float* x, const float* gamma, const float* beta, float* y,
                       float* statistics, float* running_mean, float* running_variance,
                       jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_norm_forward(shape, x, running_mean, running_variance, workspace))
        return status;
    const jl_norm s = *shape;
    if (!by_columns(s)) {
        parallel_for(items_of(s), count_of(s), [=](int64_t item) {
            const Statistics of = item_statistics(s, item, x, statistics, running_mean, running_variance);
            if (y != nullptr) normalize_item(s, item, of, x, gamma, beta, y);
        });
        return JL_OK;
    }
    const Tiles t(s);
    float* partial = workspace_floats(workspace);
    // The second pass reads the statistics where the first leaves them.
    float* kept = statistics != nullptr ? statistics : partial + s.outer * t.rows * 3 * t.columns;
    passes(
        s, t, [=](int64_t n, int64_t i) { tile_statistics(s, t, Tile(s, t, n, i), x, partial); },
        [=](int64_t n) {
            // inside a task of its own this one runs serially
            parallel_for(t.blocks, s.outer >= kWholeOuters ? 0 : t.rows * t.columns,
                         [=](int64_t block) { join_tiles(s, t, n, block, partial); });
            finish_groups(s, n, partial + n * t.rows * 3 * t.columns, kept, running_mean, running_variance);
        },
        [=](int64_t n, int64_t i) {
            const Tile tile(s, t, n, i);
            if (y != nullptr) normalize_tile(s, tile, Columns(s, tile, kept, gamma, beta), x, y);
        });
    return JL_OK;
}

jl_status norm_inference(const jl_norm* shape, const float* x, const float* gamma, const float* beta,
                         const float* mean, const float* variance, float* y, jl_stream) {
    if (const jl_status status = check_norm_inference(shape, x, mean, variance, y)) return status;
    const jl_norm s = *shape;
    const Tiles t(s);
    parallel_for(s.outer * t.count(), count_of(s), [=](int64_t i) {
        const Tile tile(s, t, i / t.count(), i % t.count());
        float centre[kWidth], scale[kWidth], shift[kWidth];
        for (int64_t c = 0; c < tile.width; ++c) {
            const int64_t column = tile.column + c, item = tile.outer * s.groups + column / s.channels;
            centre[c] = mean[item];
            scale[c] = (gamma == nullptr ? 1.0f : gamma[column]) / sqrtf(variance[item] + s.epsilon);
            shift[c] = beta == nullptr ? 0.0f : beta[column];
        }
        for (int64_t r = tile.row; r < tile.row_end; ++r) {
            const float* row = x + tile.offset(s, r);
            float* out = y + tile.offset(s, r);
#pragma omp simd
            for (int64_t c = 0; c < tile.width; ++c) out[c] = (row[c] - centre[c]) * scale[c] + shift[c];
        }
    });
    return JL_OK;
}

jl_status norm_backward(const jl_norm* shape, const float* x, const float* gamma, const float* statistics,
                        const float* dy, float* dx, float* d_gamma, float* d_beta, jl_workspace workspace,
                        jl_stream) {
    if (const jl_status status = check_norm_backward(shape, x, statistics, dy, workspace)) return status;
    const jl_norm s = *shape;
    const int64_t columns = columns_of(s);
    float* partial = workspace_floats(workspace);
    if (!by_columns(s)) {
        const int64_t blocks = outer_blocks(s);
        parallel_for(blocks, count_of(s), [=](int64_t block) {
            float* sums = partial + block * 2 * columns;
            for (int64_t c = 0; c < 2 * columns; ++c) sums[c] = 0.0f;
            const int64_t start = block * s.outer / blocks, end = (block + 1) * s.outer / blocks;
            for (int64_t item = start * s.groups; item < end * s.groups; ++item)
                item_gradient(s, item, load_statistics(statistics, items_of(s), item), x, gamma, dy, dx,
                              sums);
        });
        sum_parameters(partial, blocks, 2 * columns, columns, d_gamma, d_beta);
        return JL_OK;
    }
    const Tiles t(s);
    float* means = partial + s.outer * t.rows * 3 * columns;
    passes(
        s, t,
        [=](int64_t n, int64_t i) { tile_gradient_sums(s, t, Tile(s, t, n, i), statistics, x, dy, partial); },
        [=](int64_t n) { join_gradients(s, t, n, gamma, partial, means); },
        [=](int64_t n, int64_t i) {
            if (dx != nullptr) tile_gradient(s, Tile(s, t, n, i), statistics, gamma, means, x, dy, dx);
        });
    sum_parameters(partial, s.outer, t.rows * 2 * columns, columns, d_gamma, d_beta);
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

// norm by columns, on the CPU: tiles of rows are summed for every channel side by side.
#pragma once
#include "norm.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kRows = 128;   // rows a tile
constexpr int64_t kWidth = 256;  // columns a tile
// From here on a task is one outer: its second pass finds x in the cache.
constexpr int64_t kWholeOuters = 16;

int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }

struct Tiles {
    int64_t columns, rows, blocks;  // blocks of columns
    explicit Tiles(const jl_norm& s)
        : columns(columns_of(s)),
          rows((s.spatial + kRows - 1) / kRows),
          blocks((columns + kWidth - 1) / kWidth) {}
    int64_t count() const { return rows * blocks; }
};

// A piece of one outer: rows [row, row_end) and `width` columns from `column` on.
struct Tile {
    int64_t outer, index, row, row_end, column, width;
    Tile(const jl_norm& s, const Tiles& t, int64_t outer_, int64_t tile)
        : outer(outer_),
          index(tile / t.blocks),
          row(index * kRows),
          row_end(at_most(row + kRows, s.spatial)),
          column(tile % t.blocks * kWidth),
          width(at_most(kWidth, t.columns - column)) {}
    int64_t offset(const jl_norm& s, int64_t r) const {
        return (outer * s.spatial + r) * columns_of(s) + column;
    }
    // Partial sum `which` of `kinds`, from this tile's first column on.
    float* partial(const Tiles& t, float* all, int64_t kinds, int64_t which) const {
        return all + ((outer * t.rows + index) * kinds + which) * t.columns + column;
    }
};

// first(outer, tile) for all tiles, join(outer), second(outer, tile).
template <class First, class Join, class Second>
void passes(const jl_norm& s, const Tiles& t, First first, Join join, Second second) {
    const int64_t tiles = t.count();
    if (s.outer >= kWholeOuters) {
        parallel_for(s.outer, count_of(s), [=](int64_t n) {
            for (int64_t i = 0; i < tiles; ++i) first(n, i);
            join(n);
            for (int64_t i = 0; i < tiles; ++i) second(n, i);
        });
        return;
    }
    parallel_for(s.outer * tiles, count_of(s), [=](int64_t i) { first(i / tiles, i % tiles); });
    for (int64_t n = 0; n < s.outer; ++n) join(n);
    parallel_for(s.outer * tiles, count_of(s), [=](int64_t i) { second(i / tiles, i % tiles); });
}

// What a tile's columns need of statistics, gamma and beta, side by side.
struct Columns {
    int64_t item[kWidth];
    float mean[kWidth], rest[kWidth], scale[kWidth], gamma[kWidth], beta[kWidth];
    Columns(const jl_norm& s, const Tile& tile, const float* statistics, const float* gamma_,
            const float* beta_) {
        int64_t group = tile.column / s.channels, end = (group + 1) * s.channels;
        for (int64_t c = 0; c < tile.width; ++c) {
            const int64_t column = tile.column + c;
            if (column == end) ++group, end += s.channels;
            item[c] = tile.outer * s.groups + group;
            const Statistics of = load_statistics(statistics, items_of(s), item[c]);
            mean[c] = of.mean, rest[c] = of.rest, scale[c] = of.scale;
            gamma[c] = gamma_ == nullptr ? 1.0f : gamma_[column];
            beta[c] = beta_ == nullptr ? 0.0f : beta_[column];
        }
    }
};

// Of every column: its first value, the sum of the differences from it over the count, squared deviations.
void tile_statistics(const jl_norm& s, const Tiles& t, const Tile& tile, const float* x, float* partial) {
    float d[kWidth] = {}, q[kWidth] = {};
    const float* first = x + tile.offset(s, tile.row);
    for (int64_t r = tile.row; r < tile.row_end; ++r) {
        const float* row = x + tile.offset(s, r);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c) {
            const float v = row[c] - first[c];
            d[c] += v;
            q[c] += v * v;
        }
    }
    float* mean = tile.partial(t, partial, 3, 0);
    float* rest = tile.partial(t, partial, 3, 1);
    float* squares = tile.partial(t, partial, 3, 2);
    const float n = static_cast<float>(tile.row_end - tile.row);
#pragma omp simd
    for (int64_t c = 0; c < tile.width; ++c) {
        mean[c] = first[c];
        rest[c] = d[c] / n;
        squares[c] = deviations(d[c], q[c], n);
    }
}

// Joins one outer's tiles into mean and squared deviations of each of its columns, kept in the first tile's place.
void join_tiles(const jl_norm& s, const Tiles& t, int64_t outer, int64_t block, float* partial) {
    double mean[kWidth] = {}, squares[kWidth] = {};
    const Tile target(s, t, outer, block);
    for (int64_t i = 0; i < t.rows; ++i) {
        const Tile tile(s, t, outer, i * t.blocks + block);
        const float *high = tile.partial(t, partial, 3, 0), *rest = tile.partial(t, partial, 3, 1);
        const double part = static_cast<double>(tile.row_end - tile.row) / static_cast<double>(s.spatial);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c) mean[c] += part * (static_cast<double>(high[c]) + rest[c]);
    }
    for (int64_t i = 0; i < t.rows; ++i) {
        const Tile tile(s, t, outer, i * t.blocks + block);
        const float *high = tile.partial(t, partial, 3, 0), *rest = tile.partial(t, partial, 3, 1),
                    *of_tile = tile.partial(t, partial, 3, 2);
        const double n = static_cast<double>(tile.row_end - tile.row);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c) {
            const double away = static_cast<double>(high[c]) + rest[c] - mean[c];
            squares[c] += of_tile[c] + n * away * away;
        }
    }
    float *high = target.partial(t, partial, 3, 0), *rest = target.partial(t, partial, 3, 1),
          *of_columns = target.partial(t, partial, 3, 2);
    for (int64_t c = 0; c < target.width; ++c) {
        high[c] = static_cast<float>(mean[c]);
        rest[c] = static_cast<float>(mean[c] - high[c]);
        of_columns[c] = static_cast<float>(squares[c]);
    }
}

// Columns to groups: columns [3, C] of one outer, already joined.
void finish_groups(const jl_norm& s, int64_t outer, const float* columns, float* statistics,
                   float* running_mean, float* running_variance) {
    const int64_t all = columns_of(s);
    for (int64_t g = 0; g < s.groups; ++g) {
        const float* of = columns + g * s.channels;
        double mean = 0.0, squares = 0.0;
        for (int64_t c = 0; c < s.channels; ++c) mean += static_cast<double>(of[c]) + of[all + c];
        mean /= static_cast<double>(s.channels);
        for (int64_t c = 0; c < s.channels; ++c) {
            const double away = static_cast<double>(of[c]) + of[all + c] - mean;
            squares += of[2 * all + c] + static_cast<double>(s.spatial) * away * away;
        }
        finish_item(s, outer * s.groups + g, mean, squares, statistics, running_mean, running_variance);
    }
}

void normalize_tile(const jl_norm& s, const Tile& tile, const Columns& of, const float* x, float* y) {
    for (int64_t r = tile.row; r < tile.row_end; ++r) {
        const float* row = x + tile.offset(s, r);
        float* out = y + tile.offset(s, r);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c)
            out[c] = of.gamma[c] * ((row[c] - of.mean[c] - of.rest[c]) * of.scale[c]) + of.beta[c];
    }
}

// Of every column: sum of dy xhat, sum of dy.
void tile_gradient_sums(const jl_norm& s, const Tiles& t, const Tile& tile, const float* statistics,
                        const float* x, const float* dy, float* partial) {
    const Columns of(s, tile, statistics, nullptr, nullptr);
    float scaled[kWidth] = {}, plain[kWidth] = {};
    for (int64_t r = tile.row; r < tile.row_end; ++r) {
        const float *row = x + tile.offset(s, r), *d = dy + tile.offset(s, r);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c) {
            scaled[c] += d[c] * ((row[c] - of.mean[c] - of.rest[c]) * of.scale[c]);
            plain[c] += d[c];
        }
    }
    float *to_scaled = tile.partial(t, partial, 2, 0), *to_plain = tile.partial(t, partial, 2, 1);
    for (int64_t c = 0; c < tile.width; ++c) to_scaled[c] = scaled[c], to_plain[c] = plain[c];
}

// Sums over one outer's tiles, kept in the first one's place; of each group mean(g xhat) and mean(g).
void join_gradients(const jl_norm& s, const Tiles& t, int64_t outer, const float* gamma, float* partial,
                    float* means) {
    const int64_t size = 2 * t.columns;
    float* first = partial + outer * t.rows * size;
    for (int64_t start = 0; start < size; start += kWidth) {
        const int64_t width = at_most(kWidth, size - start);
        double sum[kWidth] = {};
        for (int64_t i = 0; i < t.rows; ++i)
#pragma omp simd
            for (int64_t k = 0; k < width; ++k) sum[k] += first[i * size + start + k];
        for (int64_t k = 0; k < width; ++k) first[start + k] = static_cast<float>(sum[k]);
    }
    const double n = static_cast<double>(s.spatial * s.channels);
    for (int64_t g = 0; g < s.groups; ++g) {
        double scaled = 0.0, plain = 0.0;
        for (int64_t c = g * s.channels; c < (g + 1) * s.channels; ++c) {
            const double by = gamma == nullptr ? 1.0 : gamma[c];
            scaled += by * first[c];
            plain += by * first[t.columns + c];
        }
        float* of = means + 2 * (outer * s.groups + g);
        of[0] = static_cast<float>(scaled / n);
        of[1] = static_cast<float>(plain / n);
    }
}

void tile_gradient(const jl_norm& s, const Tile& tile, const float* statistics, const float* gamma,
                   const float* means, const float* x, const float* dy, float* dx) {
    const Columns of(s, tile, statistics, gamma, nullptr);
    float scaled[kWidth], plain[kWidth];
    for (int64_t c = 0; c < tile.width; ++c) {
        const float* mean = means + 2 * of.item[c];
        scaled[c] = mean[0], plain[c] = mean[1];
    }
    for (int64_t r = tile.row; r < tile.row_end; ++r) {
        const float *row = x + tile.offset(s, r), *d = dy + tile.offset(s, r);
        float* out = dx + tile.offset(s, r);
#pragma omp simd
        for (int64_t c = 0; c < tile.width; ++c) {
            const float xhat = (row[c] - of.mean[c] - of.rest[c]) * of.scale[c];
            out[c] = of.scale[c] * (d[c] * of.gamma[c] - plain[c] - xhat * scaled[c]);
        }
    }
}

// d_gamma and d_beta from `count` rows [2, columns], `stride` apart.
void sum_parameters(const float* rows, int64_t count, int64_t stride, int64_t columns, float* d_gamma,
                    float* d_beta) {
    for (int64_t which = 0; which < 2; ++which) {
        float* out = which == 0 ? d_gamma : d_beta;
        if (out == nullptr) continue;
        parallel_for((columns + kWidth - 1) / kWidth, count * columns, [=](int64_t block) {
            const int64_t start = block * kWidth, width = at_most(kWidth, columns - start);
            double sum[kWidth] = {};
            for (int64_t i = 0; i < count; ++i) {
                const float* row = rows + i * stride + which * columns + start;
#pragma omp simd
                for (int64_t c = 0; c < width; ++c) sum[c] += row[c];
            }
            for (int64_t c = 0; c < width; ++c) out[start + c] = static_cast<float>(sum[c]);
        });
    }
}

}  // namespace
}  // namespace jlatent::JL_TABLE

// norm by columns, on CUDA: a block takes a tile, up to 128 columns of some rows; a thread four neighbouring columns of
// every so-many-th row. A first kernel sums tiles, a second joins them, a third reads everything again and writes.
#pragma once
#include "launch.h"
#include "norm.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTileRows = 64;    // at least
constexpr int64_t kMostTiles = 256;  // of one outer's rows
constexpr int kAtOnce = 4;           // rows a thread loads before it uses the first

struct Tiling {
    int64_t columns, rows;  // of one outer
    int64_t tile_rows, tiles, blocks;
    int lanes;  // threads side by side in a row
    Tiling(int64_t columns_, int64_t rows_)
        : columns(columns_),
          rows(rows_),
          tile_rows((rows + kMostTiles - 1) / kMostTiles < kTileRows ? kTileRows
                                                                     : (rows + kMostTiles - 1) / kMostTiles),
          tiles((rows + tile_rows - 1) / tile_rows),
          lanes(1) {
        while (lanes < kWarp && 4 * lanes < columns) lanes *= 2;
        blocks = (columns + 4 * lanes - 1) / (4 * lanes);
    }
    int64_t grid(int64_t outer) const { return outer * tiles * blocks; }
};

// Where this thread works.
struct Place {
    int64_t outer, tile, row, row_end;  // this thread's first row; the tile's end
    int64_t first_row, column;
    int count, step;  // columns, 0 to 4; rows from one to the next
    __device__ explicit Place(const Tiling& t) {
        // 32-bit divisions: launch_blocks() keeps the grid below 2^31
        const uint32_t blocks = static_cast<uint32_t>(t.blocks), rest = blockIdx.x / blocks;
        outer = rest / static_cast<uint32_t>(t.tiles);
        tile = rest % static_cast<uint32_t>(t.tiles);
        first_row = tile * t.tile_rows;
        row_end = first_row + t.tile_rows < t.rows ? first_row + t.tile_rows : t.rows;
        row = first_row + threadIdx.x / t.lanes;
        step = kBlock / t.lanes;
        column = ((blockIdx.x - rest * blocks) * static_cast<int64_t>(t.lanes) + threadIdx.x % t.lanes) * 4;
        const int64_t left = t.columns - column;
        count = left >= 4 ? 4 : left > 0 ? static_cast<int>(left) : 0;
    }
    __device__ int64_t offset(const Tiling& t, int64_t r) const {
        return (outer * t.rows + r) * t.columns + column;
    }
    __device__ int64_t partial(const Tiling& t, int kinds, int which) const {
        return ((outer * t.tiles + tile) * kinds + which) * t.columns + column;
    }
};

constexpr Quad kZero = {{0.0f, 0.0f, 0.0f, 0.0f}};

// Four neighbours through the caches: what is read again soon.
__device__ inline Quad load_cached(const float* p, int64_t i, int count) {
    Quad q = kZero;
    if (count == 4 && aligned16(p + i)) {
        const float4 v = *reinterpret_cast<const float4*>(p + i);
        return {{v.x, v.y, v.z, v.w}};
    }
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < count) q.v[k] = p[i + k];
    return q;
}

// A channel's parameter, or what stands for it.
__device__ inline Quad load_parameter(const float* p, int64_t i, int count, float otherwise) {
    if (p == nullptr) return {{otherwise, otherwise, otherwise, otherwise}};
    return load_cached(p, i, count);
}

// Statistics of a thread's four columns.
struct Columns {
    int64_t group[4];  // 0 past the last column
    Quad mean, rest, scale;
    __device__ Columns(const jl_norm& s, int64_t column, int count)
        : group(), mean(kZero), rest(kZero), scale(kZero) {
        if (count == 0) return;
        int64_t of = static_cast<uint32_t>(column) / static_cast<uint32_t>(s.channels);
        int64_t left = (of + 1) * s.channels - column;  // channels of this group
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            if (left == 0) ++of, left = s.channels;
            --left;
            if (k < count) group[k] = of;
        }
    }
    __device__ void load(const jl_norm& s, const float* statistics, int64_t outer) {
        Statistics of = load_statistics(statistics, s.outer * s.groups, outer * s.groups + group[0]);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            if (k > 0 && group[k] != group[k - 1])
                of = load_statistics(statistics, s.outer * s.groups, outer * s.groups + group[k]);
            mean.v[k] = of.mean, rest.v[k] = of.rest, scale.v[k] = of.scale;
        }
    }
    __device__ float normalized(float x, int k) const { return (x - mean.v[k] - rest.v[k]) * scale.v[k]; }
};

// Sums of a and b over the block's rows, in the threads of its first row.
__device__ inline void sum_over_rows(Quad* a, Quad* b, int lanes) {
    JL_SHARED(Quad, sums, [2][kBlock]);
    const int i = threadIdx.x;
    sums[0][i] = *a;
    sums[1][i] = *b;
    for (int half = kBlock / 2; half >= lanes; half /= 2) {
        __syncthreads();
        if (i < half) {
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                sums[0][i].v[k] += sums[0][i + half].v[k];
                sums[1][i].v[k] += sums[1][i + half].v[k];
            }
        }
    }
    *a = sums[0][i];
    *b = sums[1][i];
}

// partial [outer, tiles, 3, C]: a column's first value, the mean of the differences from it, squared deviations
__global__ void __launch_bounds__(kBlock)
    statistics_kernel(Tiling t, const float* __restrict__ x, float* __restrict__ partial) {
    const Place p(t);
    const Quad first = load_cached(x, p.offset(t, p.first_row), p.count);
    Quad d = kZero, q = kZero;
    for (int64_t r = p.row; r < p.row_end; r += kAtOnce * p.step) {
        Quad v[kAtOnce];
        JL_UNROLL
        for (int u = 0; u < kAtOnce; ++u) {
            v[u] = first;  // past the end: no difference
            if (r + u * p.step < p.row_end) v[u] = load_cached(x, p.offset(t, r + u * p.step), p.count);
        }
        JL_UNROLL
        for (int u = 0; u < kAtOnce; ++u) JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const float away = v[u].v[k] - first.v[k];
            d.v[k] += away;
            q.v[k] += away * away;
        }
    }
    sum_over_rows(&d, &q, t.lanes);
    if (threadIdx.x >= static_cast<unsigned>(t.lanes)) return;
    const float n = static_cast<float>(p.row_end - p.first_row);
    JL_UNROLL
    for (int k = 0; k < 4; ++k) {
        q.v[k] = deviations(d.v[k], q.v[k], n);
        d.v[k] /= n;
    }
    store_quad(partial, p.partial(t, 3, 0), p.count, first);
    store_quad(partial, p.partial(t, 3, 1), p.count, d);
    store_quad(partial, p.partial(t, 3, 2), p.count, q);
}

// ---- joining tiles: a block takes some whole groups, a lane a channel, a warp every eighth tile ----

constexpr int kJoinWarps = kBlock / kWarp;

struct Joint {
    int64_t outer, group;
    int64_t first_channel;              // of the group: then every kWarp-th
    int lane, warp, first_lane, lanes;  // the lanes of this group
    bool live;
    static int64_t groups_a_block(const jl_norm& s) { return s.channels >= kWarp ? 1 : kWarp / s.channels; }
    __device__ explicit Joint(const jl_norm& s, int64_t groups_here) {
        const int64_t blocks = (s.groups + groups_here - 1) / groups_here;
        lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
        lanes = s.channels < kWarp ? static_cast<int>(s.channels) : kWarp;
        first_lane = lane / lanes * lanes;
        first_channel = lane - first_lane;
        outer = blockIdx.x / blocks;
        group = blockIdx.x % blocks * groups_here + lane / lanes;
        live = lane / lanes < groups_here && group < s.groups;
    }
};

// A lane's sum over the warps; every warp gets it. Two calls in a row are safe.
__device__ inline double sum_over_warps(const Joint& j, double v) {
    JL_SHARED(double, sums, [kJoinWarps][kWarp]);
    __syncthreads();
    sums[j.warp][j.lane] = v;
    __syncthreads();
    double sum = 0.0;
    for (int w = 0; w < kJoinWarps; ++w) sum += sums[w][j.lane];
    return sum;
}

// The sum over a group's lanes, of what is the same in every warp; all of them get it.
__device__ inline double sum_over_lanes(const Joint& j, double v) {
    JL_SHARED(double, sums, [kWarp]);
    __syncthreads();
    if (j.warp == 0) sums[j.lane] = v;
    __syncthreads();
    double sum = 0.0;
    for (int l = j.first_lane; l < j.first_lane + j.lanes && l < kWarp; ++l) sum += sums[l];
    return sum;
}

__global__ void __launch_bounds__(kBlock)
    join_statistics_kernel(jl_norm s, Tiling t, int64_t groups_here, const float* __restrict__ partial,
                           float* statistics, float* running_mean, float* running_variance) {
    const Joint j(s, groups_here);
    double mean = 0.0, squares = 0.0;
    for (int pass = 0; pass < 2; ++pass) {
        double sum = 0.0;
        if (j.live)
            for (int64_t tile = j.warp; tile < t.tiles; tile += kJoinWarps) {
                const int64_t left = t.rows - tile * t.tile_rows;
                const double n = static_cast<double>(left < t.tile_rows ? left : t.tile_rows);
                const float* of = partial + (j.outer * t.tiles + tile) * 3 * t.columns + j.group * s.channels;
                for (int64_t c = j.first_channel; c < s.channels; c += kWarp) {
                    const double m = static_cast<double>(of[c]) + of[t.columns + c];
                    sum += pass == 0 ? n * m : of[2 * t.columns + c] + n * (m - mean) * (m - mean);
                }
            }
        sum = sum_over_lanes(j, sum_over_warps(j, sum));
        if (pass == 0)
            mean = sum / static_cast<double>(s.spatial * s.channels);
        else
            squares = sum;
    }
    if (j.live && j.warp == 0 && j.lane == j.first_lane)
        finish_item(s, j.outer * s.groups + j.group, mean, squares, statistics, running_mean,
                    running_variance);
}

__global__ void __launch_bounds__(kBlock)
    normalize_kernel(jl_norm s, Tiling t, const float* __restrict__ x, const float* __restrict__ gamma,
                     const float* __restrict__ beta, const float* __restrict__ statistics,
                     float* __restrict__ y) {
    const Place p(t);
    Columns of(s, p.column, p.count);
    of.load(s, statistics, p.outer);
    const Quad by = load_parameter(gamma, p.column, p.count, 1.0f);
    const Quad shift = load_parameter(beta, p.column, p.count, 0.0f);
    for (int64_t r = p.row; r < p.row_end; r += p.step) {
        Quad v = load_quad(x, p.offset(t, r), p.count);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) v.v[k] = by.v[k] * of.normalized(v.v[k], k) + shift.v[k];
        store_quad(y, p.offset(t, r), p.count, v);
    }
}

__global__ void __launch_bounds__(kBlock)
    inference_kernel(jl_norm s, Tiling t, const float* __restrict__ x, const float* __restrict__ gamma,
                     const float* __restrict__ beta, const float* __restrict__ mean,
                     const float* __restrict__ variance, float* __restrict__ y) {
    const Place p(t);
    const Columns of(s, p.column, p.count);
    Quad centre = kZero, scale = load_parameter(gamma, p.column, p.count, 1.0f);
    const Quad shift = load_parameter(beta, p.column, p.count, 0.0f);
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < p.count) {
            const int64_t item = p.outer * s.groups + of.group[k];
            centre.v[k] = mean[item];
            scale.v[k] /= sqrtf(variance[item] + s.epsilon);
        }
    for (int64_t r = p.row; r < p.row_end; r += p.step) {
        Quad v = load_quad(x, p.offset(t, r), p.count);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) v.v[k] = (v.v[k] - centre.v[k]) * scale.v[k] + shift.v[k];
        store_quad(y, p.offset(t, r), p.count, v);
    }
}

// partial [outer, tiles, 2, C]: sums of dy xhat, of dy. kAcross: the rows of all outer are one after the other, and
// each has statistics of its own.
template <bool kAcross>
__global__ void __launch_bounds__(kBlock)
    gradient_sums_kernel(jl_norm s, Tiling t, const float* __restrict__ x,
                         const float* __restrict__ statistics, const float* __restrict__ dy,
                         float* __restrict__ partial) {
    const Place p(t);
    Columns of(s, p.column, p.count);
    if (!kAcross) of.load(s, statistics, p.outer);
    Quad scaled = kZero, plain = kZero;
    for (int64_t r = p.row; r < p.row_end; r += kAtOnce * p.step) {
        Quad v[kAtOnce], d[kAtOnce];
        JL_UNROLL
        for (int u = 0; u < kAtOnce; ++u) {
            const bool inside = r + u * p.step < p.row_end;
            v[u] = d[u] = kZero;
            if (inside) v[u] = load_cached(x, p.offset(t, r + u * p.step), p.count);
            if (inside) d[u] = load_cached(dy, p.offset(t, r + u * p.step), p.count);
        }
        JL_UNROLL
        for (int u = 0; u < kAtOnce; ++u) {
            if (r + u * p.step >= p.row_end) break;  // 0 of a row that is not there, times a NaN
            if (kAcross)
                of.load(s, statistics, s.spatial == 1 ? r + u * p.step : (r + u * p.step) / s.spatial);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                scaled.v[k] += d[u].v[k] * of.normalized(v[u].v[k], k);
                plain.v[k] += d[u].v[k];
            }
        }
    }
    sum_over_rows(&scaled, &plain, t.lanes);
    if (threadIdx.x >= static_cast<unsigned>(t.lanes)) return;
    store_quad(partial, p.partial(t, 2, 0), p.count, scaled);
    store_quad(partial, p.partial(t, 2, 1), p.count, plain);
}

// sums [outer, 2, C] over the tiles; means [outer, groups, 2]: mean(g xhat), mean(g)
__global__ void __launch_bounds__(kBlock)
    join_gradients_kernel(jl_norm s, Tiling t, int64_t groups_here, const float* __restrict__ gamma,
                          const float* __restrict__ partial, float* __restrict__ sums,
                          float* __restrict__ means) {
    const Joint j(s, groups_here);
    const double n = static_cast<double>(s.spatial * s.channels);
    for (int which = 0; which < 2; ++which) {
        double of_group = 0.0;
        for (int64_t start = 0; start < s.channels; start += kWarp) {
            const int64_t c = j.group * s.channels + start + j.first_channel;
            const bool live = j.live && start + j.first_channel < s.channels;
            double sum = 0.0;
            if (live)
                for (int64_t tile = j.warp; tile < t.tiles; tile += kJoinWarps)
                    sum += partial[((j.outer * t.tiles + tile) * 2 + which) * t.columns + c];
            sum = sum_over_warps(j, sum);
            if (!live) continue;  // the barriers are behind us
            of_group += (gamma == nullptr ? 1.0 : gamma[c]) * sum;
            if (j.warp == 0) sums[(j.outer * 2 + which) * t.columns + c] = static_cast<float>(sum);
        }
        of_group = sum_over_lanes(j, of_group);
        if (j.live && j.warp == 0 && j.lane == j.first_lane)
            means[2 * (j.outer * s.groups + j.group) + which] = static_cast<float>(of_group / n);
    }
}

__global__ void __launch_bounds__(kBlock)
    gradient_kernel(jl_norm s, Tiling t, const float* __restrict__ x, const float* __restrict__ gamma,
                    const float* __restrict__ statistics, const float* __restrict__ means,
                    const float* __restrict__ dy, float* __restrict__ dx) {
    const Place p(t);
    Columns of(s, p.column, p.count);
    of.load(s, statistics, p.outer);
    const Quad by = load_parameter(gamma, p.column, p.count, 1.0f);
    Quad scaled = kZero, plain = kZero;
    JL_UNROLL
    for (int k = 0; k < 4; ++k)
        if (k < p.count) {
            const float* mean = means + 2 * (p.outer * s.groups + of.group[k]);
            scaled.v[k] = mean[0], plain.v[k] = mean[1];
        }
    for (int64_t r = p.row; r < p.row_end; r += p.step) {
        const Quad v = load_quad(x, p.offset(t, r), p.count);
        Quad d = load_quad(dy, p.offset(t, r), p.count);
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            d.v[k] = of.scale.v[k] * (d.v[k] * by.v[k] - plain.v[k] - of.normalized(v.v[k], k) * scaled.v[k]);
        store_quad(dx, p.offset(t, r), p.count, d);
    }
}

// d_gamma, d_beta: sums over rows [count, 2, C]. A block takes 32 of the 2 C columns.
__global__ void __launch_bounds__(kBlock)
    parameters_kernel(const float* __restrict__ rows, int64_t count, int64_t columns,
                      float* __restrict__ d_gamma, float* __restrict__ d_beta) {
    JL_SHARED(double, sums, [kJoinWarps][kWarp]);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int64_t k = blockIdx.x * static_cast<int64_t>(kWarp) + lane;
    double sum = 0.0;
    if (k < 2 * columns)
        for (int64_t r = warp; r < count; r += kJoinWarps) sum += rows[r * 2 * columns + k];
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp != 0 || k >= 2 * columns) return;
    double total = 0.0;
    for (int w = 0; w < kJoinWarps; ++w) total += sums[w][lane];
    float* out = k < columns ? d_gamma : d_beta;
    if (out != nullptr) out[k < columns ? k : k - columns] = static_cast<float>(total);
}

}  // namespace
}  // namespace jlatent::JL_TABLE

#include "gaussian.h"

#include "parallel.h"
#include "philox_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// A task is one tile: several whole rows when they are short, one chunk of a row when they are long. Its
// noise is made in a buffer that stays in the first-level cache, one vector loop then does the rest.
constexpr int64_t kTile = 1024;
constexpr int64_t kRowSplit = 1024;  // rows a task of the column sums

struct Tiling {
    int64_t blocks_a_row;  // Philox blocks
    int64_t chunks;        // tiles a row, 1 for short rows
    int64_t rows_a_tile;   // 1 for long rows
    int64_t tiles;
    int64_t sums;  // partial sums kept for a row's chunk: KL, then log q and log p of each sample

    explicit Tiling(const jl_gaussian& s)
        : blocks_a_row((s.dims + 3) / 4),
          chunks((s.dims + kTile - 1) / kTile),
          rows_a_tile(chunks > 1 ? 1 : kTile / (4 * blocks_a_row)),
          tiles(chunks > 1 ? s.rows * chunks : (s.rows + rows_a_tile - 1) / rows_a_tile),
          sums(1 + 2 * s.samples) {}
};

struct Tile {
    int64_t row, rows;      // first row, and how many
    int64_t column, width;  // of each of them
    Tile(const jl_gaussian& s, const Tiling& t, int64_t index) {
        row = t.chunks > 1 ? index / t.chunks : index * t.rows_a_tile;
        rows = t.rows_a_tile < s.rows - row ? t.rows_a_tile : s.rows - row;
        column = t.chunks > 1 ? index % t.chunks * kTile : 0;
        width = s.dims - column < kTile ? s.dims - column : kTile;
    }
};

// The noise of one sample of a tile; row r's begins at row(r).
class Noise {
  public:
    Noise(const jl_gaussian& s, const Tiling& t, const Tile& tile, const float* given,
          const jl_random* random, int64_t i) {
        if (given != nullptr) {
            data_ = given + ((tile.row * s.samples) + i) * s.dims + tile.column;
            stride_ = s.samples * s.dims;
            return;
        }
        const int64_t first = tile.row * t.blocks_a_row + tile.column / 4;
        const int64_t blocks = t.chunks > 1 ? (tile.width + 3) / 4 : tile.rows * t.blocks_a_row;
        philox_fill_normals(static_cast<uint32_t>(first), blocks, static_cast<uint32_t>(i), *random, s.site,
                            buffer_);
        data_ = buffer_;
        stride_ = 4 * t.blocks_a_row;
    }
    const float* row(int64_t r) const { return data_ + r * stride_; }

  private:
    alignas(64) float buffer_[kTile + kNoiseGroup];
    const float* data_;
    int64_t stride_;
};

struct Sums {
    float twice_kl, eps_square, log_var, z_square;
};

// One row of a tile: z and what is summed over the row. Without z only the sums.
template <bool kZ, bool kDensities>
Sums forward_row(const jl_gaussian& s, const float* mu, const float* log_var, const float* eps, float* z,
                 int64_t width) {
    const float low = s.log_var_min, high = s.log_var_max;
    float kl = 0.0f, eps_square = 0.0f, sum_log_var = 0.0f, z_square = 0.0f;
#pragma omp simd reduction(+ : kl, eps_square, sum_log_var, z_square)
    for (int64_t d = 0; d < width; ++d) {
        const float v = clamp_log_var(log_var[d], low, high);
        const float sigma = fast_exp(0.5f * v);
        kl += twice_kl(mu[d], v, sigma);
        const float value = mu[d] + sigma * eps[d];
        if (kZ) z[d] = value;
        if (kDensities) {
            eps_square += eps[d] * eps[d];
            sum_log_var += v;
            z_square += value * value;
        }
    }
    return {kl, eps_square, sum_log_var, z_square};
}

// One row of a tile: gradients from the sums over its samples. Scalars by value, or every store makes GCC load them again.
template <bool kLive>
void backward_row(const float* mu, const float* log_var, const float* live, const float* sum,
                  const float* sum_eps, float* d_mu, float* d_log_var, int64_t width, float low, float high,
                  float of_row, float total, float through_q) {
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) {
        const float raw = log_var[d];
        const float sigma = fast_exp(0.5f * clamp_log_var(raw, low, high));
        const float g = kLive ? of_row + total * live[d] : of_row + total;
        const float gradient = log_var_gradient(g, sigma, sum_eps[d], through_q);
        d_mu[d] = sum[d] + g * mu[d];
        d_log_var[d] = raw < low || raw > high ? 0.0f : gradient;
    }
}

// Column sums of the KL over all rows against their floors: kl_live, and the total they make.
float free_bits_total(const jl_gaussian& s, const float* mu, const float* log_var, float* kl_live,
                      float* partial) {
    const int64_t splits = (s.rows + kRowSplit - 1) / kRowSplit;
    parallel_for(splits, s.rows * s.dims, [&](int64_t split) {
        const int64_t end = (split + 1) * kRowSplit < s.rows ? (split + 1) * kRowSplit : s.rows;
        float* sum = partial + split * s.dims;
        for (int64_t d = 0; d < s.dims; ++d) sum[d] = 0.0f;
        for (int64_t r = split * kRowSplit; r < end; ++r) {
            const float* m = mu + r * s.row_stride;
            const float* l = log_var + r * s.row_stride;
#pragma omp simd
            for (int64_t d = 0; d < s.dims; ++d) {
                const float v = clamp_log_var(l[d], s.log_var_min, s.log_var_max);
                sum[d] += 0.5f * twice_kl(m[d], v, fast_exp(0.5f * v));
            }
        }
    });
    const float floor = s.free_bits * static_cast<float>(s.rows);
    double total = 0.0;
    for (int64_t d = 0; d < s.dims; ++d) {
        float sum = 0.0f;
        for (int64_t split = 0; split < splits; ++split) sum += partial[split * s.dims + d];
        const bool held = sum <= floor;
        if (kl_live != nullptr) kl_live[d] = held ? 0.0f : 1.0f;
        total += held ? floor : sum;
    }
    return static_cast<float>(total);
}

}  // namespace

size_t gaussian_workspace(const jl_gaussian* shape) {
    const Tiling t(*shape);
    const int64_t rows = shape->rows * t.chunks * t.sums;
    const int64_t columns =
        shape->free_bits > 0.0f ? (shape->rows + kRowSplit - 1) / kRowSplit * shape->dims : 0;
    return kWorkspaceHeader + static_cast<size_t>(rows > columns ? rows : columns) * sizeof(float);
}

jl_status gaussian_forward(const jl_gaussian* shape, const float* mu, const float* log_var,
                           const float* noise, const jl_random* random, const float* kl_weight, float* z,
                           float* kl_rows, float* kl_total, float* log_q, float* log_p, float* kl_live,
                           jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_gaussian_forward(shape, mu, log_var, noise, random, workspace))
        return status;
    const jl_gaussian s = *shape;
    const Tiling t(s);
    float* partial = workspace_floats(workspace);
    const bool densities = log_q != nullptr || log_p != nullptr;
    const auto row_loop = z != nullptr ? (densities ? forward_row<true, true> : forward_row<true, false>)
                                       : (densities ? forward_row<false, true> : forward_row<false, false>);
    parallel_for(t.tiles, s.rows * s.dims * s.samples, [&](int64_t index) {
        const Tile tile(s, t, index);
        const auto sample = [&](int64_t i, const Noise* noise_of) {
            for (int64_t r = 0; r < tile.rows; ++r) {
                const int64_t row = tile.row + r, at = row * s.row_stride + tile.column;
                float* out = z == nullptr ? nullptr : z + (row * s.samples + i) * s.dims + tile.column;
                const float* eps = noise_of == nullptr ? mu + at : noise_of->row(r);
                const Sums sums = row_loop(s, mu + at, log_var + at, eps, out, tile.width);
                float* p = partial + (row * t.chunks + tile.column / kTile) * t.sums;
                const float constant = kHalfLog2Pi * static_cast<float>(tile.width);
                if (i == 0) p[0] = 0.5f * sums.twice_kl;
                p[1 + i] = -0.5f * (sums.eps_square + sums.log_var) - constant;
                p[1 + s.samples + i] = -0.5f * sums.z_square - constant;
            }
        };
        if (z == nullptr && !densities) return sample(0, nullptr);  // only the KL: no noise is looked at
        for (int64_t i = 0; i < s.samples; ++i) {
            const Noise noise_of(s, t, tile, noise, random, i);
            sample(i, &noise_of);
        }
    });
    double total = 0.0;
    for (int64_t row = 0; row < s.rows; ++row) {
        const auto sum = [&](int64_t k) {
            double value = 0.0;
            for (int64_t c = 0; c < t.chunks; ++c) value += partial[(row * t.chunks + c) * t.sums + k];
            return static_cast<float>(value);
        };
        const float kl = sum(0);
        total += kl;
        if (kl_rows != nullptr) kl_rows[row] = kl;
        for (int64_t i = 0; i < s.samples; ++i) {
            if (log_q != nullptr) log_q[row * s.samples + i] = sum(1 + i);
            if (log_p != nullptr) log_p[row * s.samples + i] = sum(1 + s.samples + i);
        }
    }
    if (s.free_bits > 0.0f)
        total = free_bits_total(s, mu, log_var, kl_live, partial);
    else if (kl_live != nullptr)
        for (int64_t d = 0; d < s.dims; ++d) kl_live[d] = 1.0f;
    if (kl_total != nullptr)
        *kl_total = (kl_weight == nullptr ? 1.0f : *kl_weight) * static_cast<float>(total);
    return JL_OK;
}

jl_status gaussian_backward(const jl_gaussian* shape, const float* mu, const float* log_var,
                            const float* noise, const jl_random* random, const float* kl_weight,
                            const float* kl_live, const float* d_z, const float* d_kl_rows,
                            const float* d_kl_total, const float* d_log_q, const float* d_log_p, float* d_mu,
                            float* d_log_var, jl_stream) {
    if (const jl_status status = check_gaussian("gaussian_backward", shape, mu, log_var, noise, random))
        return status;
    JL_REQUIRE(shape->free_bits == 0.0f || kl_live != nullptr || d_kl_total == nullptr,
               "gaussian_backward: free bits need the kl_live that forward wrote");
    const jl_gaussian s = *shape;
    const Tiling t(s);
    const float total =
        d_kl_total == nullptr ? 0.0f : *d_kl_total * (kl_weight == nullptr ? 1.0f : *kl_weight);
    const bool noisy = d_z != nullptr || d_log_p != nullptr;
    parallel_for(t.tiles, s.rows * s.dims * s.samples, [&](int64_t index) {
        const Tile tile(s, t, index);
        alignas(64) float d_sum[kTile], d_eps[kTile];  // sum over samples of D and of D eps
        for (int64_t k = 0; k < tile.rows * tile.width; ++k) d_sum[k] = d_eps[k] = 0.0f;
        for (int64_t i = 0; noisy && i < s.samples; ++i) {
            const Noise noise_of(s, t, tile, noise, random, i);
            for (int64_t r = 0; r < tile.rows; ++r) {
                const int64_t row = tile.row + r, at = row * s.row_stride + tile.column,
                              sample = row * s.samples + i;
                const float* eps = noise_of.row(r);
                float* sum = d_sum + r * tile.width;
                float* sum_eps = d_eps + r * tile.width;
                if (d_z != nullptr) {
                    const float* g = d_z + sample * s.dims + tile.column;
#pragma omp simd
                    for (int64_t d = 0; d < tile.width; ++d) {
                        sum[d] += g[d];
                        sum_eps[d] += g[d] * eps[d];
                    }
                }
                if (d_log_p != nullptr) {
                    const float p = d_log_p[sample];
#pragma omp simd
                    for (int64_t d = 0; d < tile.width; ++d) {
                        const float v = clamp_log_var(log_var[at + d], s.log_var_min, s.log_var_max);
                        const float through_z = p * (mu[at + d] + fast_exp(0.5f * v) * eps[d]);
                        sum[d] -= through_z;
                        sum_eps[d] -= through_z * eps[d];
                    }
                }
            }
        }
        for (int64_t r = 0; r < tile.rows; ++r) {
            const int64_t row = tile.row + r, at = row * s.row_stride + tile.column;
            const float of_row = d_kl_rows == nullptr ? 0.0f : d_kl_rows[row];
            float through_q = 0.0f;
            for (int64_t i = 0; d_log_q != nullptr && i < s.samples; ++i)
                through_q += d_log_q[row * s.samples + i];
            // What is not asked for is written over the sums, which are not needed any more.
            float* sum = d_sum + r * tile.width;
            float* sum_eps = d_eps + r * tile.width;
            float* out_mu = d_mu == nullptr ? sum : d_mu + at;
            float* out_log_var = d_log_var == nullptr ? sum_eps : d_log_var + at;
            const float* live = kl_live == nullptr ? nullptr : kl_live + tile.column;
            const auto finish = live == nullptr ? backward_row<false> : backward_row<true>;
            finish(mu + at, log_var + at, live, sum, sum_eps, out_mu, out_log_var, tile.width, s.log_var_min,
                   s.log_var_max, of_row, total, through_q);
        }
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

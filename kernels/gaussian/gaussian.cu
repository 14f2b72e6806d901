#include "gaussian.h"

#include "elementwise/elementwise.h"
#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A group of 2^g lanes, at most a warp, shares one item: a row, or a chunk of a row too long for one warp.
// Every lane takes quads of four neighbouring dimensions, one Philox block each. Blocks walk the items in
// grid strides, so that the order of every sum is fixed.
constexpr int64_t kChunk = 4096;  // dimensions an item

struct Items {
    int64_t quads;   // a row: also its Philox blocks
    int64_t chunks;  // items a row
    int64_t count;
    int lanes;  // a group
    explicit Items(const jl_gaussian& s)
        : quads((s.dims + 3) / 4), chunks((s.dims + kChunk - 1) / kChunk), count(s.rows * chunks), lanes(1) {
        while (lanes < kWarp && lanes < quads) lanes *= 2;
    }
    unsigned blocks() const { return fixed_grid((count * lanes + kBlock - 1) / kBlock); }
    int64_t sums(const jl_gaussian& s) const { return chunks > 1 ? count * (1 + 2 * s.samples) : 0; }
};

__device__ inline Quad noise_quad(const jl_gaussian& s, const Items& t, const float* noise,
                                  const jl_random& random, int64_t row, int64_t sample, int64_t d, int n) {
    if (noise != nullptr) return load_quad(noise + (row * s.samples + sample) * s.dims, d, n);
    const uint32_t block = static_cast<uint32_t>(row * t.quads + d / 4);
    const Normals e =
        philox_normals(block, static_cast<uint32_t>(sample), random.step, s.site, philox_key(random));
    return {{e.n[0], e.n[1], e.n[2], e.n[3]}};
}

struct Forward {
    const float* mu;
    const float* log_var;
    const float* noise;
    const jl_random* random;
    const float* kl_weight;
    float* z;
    float* kl_rows;
    float* kl_total;  // null when the free-bits kernel makes it
    float* log_q;
    float* log_p;
    float* block_kl;   // [blocks]
    float* item_sums;  // [items, 1 + 2 samples], rows in chunks only
    unsigned* counter;
};

// A finished sum of an item: the row's own when the row is one item, else kept for the last block.
__device__ inline void put_sum(float* of_row, float* item_sums, int64_t chunks, int64_t item, int64_t sums,
                               int64_t k, int64_t at, float value) {
    if (chunks > 1)
        item_sums[item * sums + k] = value;
    else if (of_row != nullptr)
        of_row[at] = value;
}

template <bool kDensities>
__global__ void __launch_bounds__(kBlock) gaussian_forward_kernel(jl_gaussian s, Items t, Forward a) {
    const int lane = threadIdx.x % t.lanes, group = threadIdx.x / t.lanes, groups = kBlock / t.lanes;
    const int64_t sums = 1 + 2 * s.samples;
    const jl_random random = a.noise == nullptr ? *a.random : jl_random{};
    const int64_t draws = a.z != nullptr || kDensities ? s.samples : 1;
    float kl_sum = 0.0f;  // of this group's items; kept by its first lane
    for (int64_t first = blockIdx.x * static_cast<int64_t>(groups); first < t.count;
         first += gridDim.x * static_cast<int64_t>(groups)) {
        const int64_t item = first + group;
        const bool live = item < t.count;  // a warp goes round together: the shuffles below need all of it
        const int64_t row = t.chunks == 1 ? item : item / t.chunks;
        const int64_t start = t.chunks == 1 ? 0 : item % t.chunks * kChunk;
        const int64_t end = !live ? 0 : start + kChunk < s.dims ? start + kChunk : s.dims;
        const float* mu = a.mu + row * s.row_stride;
        const float* log_var = a.log_var + row * s.row_stride;
        for (int64_t i = 0; i < draws; ++i) {
            float kl = 0.0f, eps_and_log_var = 0.0f, z_square = 0.0f;
            for (int64_t d = start + 4 * lane; d < end; d += 4 * t.lanes) {
                const int n = end - d < 4 ? static_cast<int>(end - d) : 4;
                const Quad m = load_quad(mu, d, n), l = load_quad(log_var, d, n);
                Quad eps = {{0.0f, 0.0f, 0.0f, 0.0f}};
                if (a.z != nullptr || kDensities) eps = noise_quad(s, t, a.noise, random, row, i, d, n);
                Quad z;
                JL_UNROLL
                for (int k = 0; k < 4; ++k) {
                    const float v = clamp_log_var(l.v[k], s.log_var_min, s.log_var_max);
                    const float sigma = fast_exp(0.5f * v);
                    z.v[k] = m.v[k] + sigma * eps.v[k];
                    if (k < n) {
                        kl += twice_kl(m.v[k], v, sigma);
                        if (kDensities) {
                            eps_and_log_var += eps.v[k] * eps.v[k] + v;
                            z_square += z.v[k] * z.v[k];
                        }
                    }
                }
                if (a.z != nullptr) store_quad(a.z + (row * s.samples + i) * s.dims, d, n, z);
            }
            if (i == 0) {
                kl = 0.5f * warp_sum(kl, t.lanes);
                if (lane == 0 && live) {
                    kl_sum += kl;
                    put_sum(a.kl_rows, a.item_sums, t.chunks, item, sums, 0, row, kl);
                }
            }
            if (kDensities) {
                const float constant = kHalfLog2Pi * static_cast<float>(end - start);
                const float q = -0.5f * warp_sum(eps_and_log_var, t.lanes) - constant;
                const float p = -0.5f * warp_sum(z_square, t.lanes) - constant;
                if (lane == 0 && live) {
                    put_sum(a.log_q, a.item_sums, t.chunks, item, sums, 1 + i, row * s.samples + i, q);
                    put_sum(a.log_p, a.item_sums, t.chunks, item, sums, 1 + s.samples + i,
                            row * s.samples + i, p);
                }
            }
        }
    }
    const float block_kl = block_sum(kl_sum);
    if (threadIdx.x == 0) a.block_kl[blockIdx.x] = block_kl;
    if (!last_block(a.counter)) return;
    if (t.chunks > 1)
        for (int64_t k = threadIdx.x; k < s.rows * sums; k += kBlock) {
            const int64_t row = k / sums, which = k % sums;
            float sum = 0.0f;
            for (int64_t c = 0; c < t.chunks; ++c)
                sum += __ldcg(a.item_sums + (row * t.chunks + c) * sums + which);
            if (which == 0) {
                if (a.kl_rows != nullptr) a.kl_rows[row] = sum;
            } else if (kDensities && which <= s.samples) {
                if (a.log_q != nullptr) a.log_q[row * s.samples + which - 1] = sum;
            } else if (kDensities) {
                if (a.log_p != nullptr) a.log_p[row * s.samples + which - 1 - s.samples] = sum;
            }
        }
    if (a.kl_total == nullptr) return;
    float total = 0.0f;
    for (unsigned b = threadIdx.x; b < gridDim.x; b += kBlock) total += __ldcg(a.block_kl + b);
    total = block_sum(total);
    if (threadIdx.x == 0) *a.kl_total = (a.kl_weight == nullptr ? 1.0f : *a.kl_weight) * total;
}

// ---- free bits: column sums of the KL; a block takes 32 columns of one split of the rows ----

constexpr int kColumnWarps = 8;

__host__ __device__ inline int64_t row_splits(int64_t rows) {
    const int64_t splits = (rows + 255) / 256;
    return splits < 1 ? 1 : splits < 64 ? splits : 64;
}

__global__ void free_bits_kernel(jl_gaussian s, const float* __restrict__ mu,
                                 const float* __restrict__ log_var, const float* kl_weight, float* kl_live,
                                 float* kl_total, float* partial, unsigned* counter) {
    JL_SHARED(float, sums, [kColumnWarps][kWarp]);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int64_t splits = gridDim.y, d = blockIdx.x * static_cast<int64_t>(kWarp) + lane;
    const int64_t each = (s.rows + splits - 1) / splits, start = blockIdx.y * each;
    const int64_t end = start + each < s.rows ? start + each : s.rows;
    float sum = 0.0f;
    if (d < s.dims)
        for (int64_t row = start + warp; row < end; row += kColumnWarps) {
            const float v = clamp_log_var(log_var[row * s.row_stride + d], s.log_var_min, s.log_var_max);
            sum += 0.5f * twice_kl(mu[row * s.row_stride + d], v, fast_exp(0.5f * v));
        }
    sums[warp][lane] = sum;
    __syncthreads();
    if (warp == 0 && d < s.dims) {
        float column = 0.0f;
        JL_UNROLL
        for (int w = 0; w < kColumnWarps; ++w) column += sums[w][lane];
        partial[blockIdx.y * s.dims + d] = column;
    }
    if (!last_block(counter)) return;
    const float floor = s.free_bits * static_cast<float>(s.rows);
    float total = 0.0f;
    for (int64_t c = threadIdx.x; c < s.dims; c += blockDim.x) {
        float column = 0.0f;
        for (int64_t split = 0; split < splits; ++split) column += __ldcg(partial + split * s.dims + c);
        const bool held = column <= floor;
        if (kl_live != nullptr) kl_live[c] = held ? 0.0f : 1.0f;
        total += held ? floor : column;
    }
    total = block_sum(total);
    if (threadIdx.x == 0 && kl_total != nullptr)
        *kl_total = (kl_weight == nullptr ? 1.0f : *kl_weight) * total;
}

// ---- backward ----

struct Backward {
    const float* mu;
    const float* log_var;
    const float* noise;
    const jl_random* random;
    const float* kl_weight;
    const float* kl_live;
    const float* d_z;
    const float* d_kl_rows;
    const float* d_kl_total;
    const float* d_log_q;
    const float* d_log_p;
    float* d_mu;
    float* d_log_var;
};

// No sums over a row: one thread a quad.
__global__ void __launch_bounds__(kBlock) gaussian_backward_kernel(jl_gaussian s, Items t, Backward a) {
    const jl_random random = a.noise == nullptr ? *a.random : jl_random{};
    const float total =
        a.d_kl_total == nullptr ? 0.0f : *a.d_kl_total * (a.kl_weight == nullptr ? 1.0f : *a.kl_weight);
    const bool noisy = a.d_z != nullptr || a.d_log_p != nullptr;
    const int64_t quads = s.rows * t.quads;
    for (int64_t q = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x; q < quads;
         q += gridDim.x * static_cast<int64_t>(kBlock)) {
        // check_gaussian() keeps quads below 2^32: a 32-bit division
        const uint32_t quads_a_row = static_cast<uint32_t>(t.quads), q32 = static_cast<uint32_t>(q);
        const int64_t row = q32 / quads_a_row, d = 4 * static_cast<int64_t>(q32 % quads_a_row);
        const int n = s.dims - d < 4 ? static_cast<int>(s.dims - d) : 4;
        const Quad m = load_quad(a.mu + row * s.row_stride, d, n),
                   l = load_quad(a.log_var + row * s.row_stride, d, n);
        Quad sigma, sum = {{0.0f, 0.0f, 0.0f, 0.0f}}, sum_eps = sum;
        JL_UNROLL
        for (int k = 0; k < 4; ++k)
            sigma.v[k] = fast_exp(0.5f * clamp_log_var(l.v[k], s.log_var_min, s.log_var_max));
        float through_q = 0.0f;
        for (int64_t i = 0; i < s.samples; ++i) {
            const int64_t sample = row * s.samples + i;
            if (a.d_log_q != nullptr) through_q += a.d_log_q[sample];
            if (!noisy) continue;
            const Quad eps = noise_quad(s, t, a.noise, random, row, i, d, n);
            Quad g = {{0.0f, 0.0f, 0.0f, 0.0f}};
            if (a.d_z != nullptr) g = load_quad(a.d_z + sample * s.dims, d, n);
            const float p = a.d_log_p == nullptr ? 0.0f : a.d_log_p[sample];
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                const float through = g.v[k] - p * (m.v[k] + sigma.v[k] * eps.v[k]);
                sum.v[k] += through;
                sum_eps.v[k] += through * eps.v[k];
            }
        }
        const float of_row = a.d_kl_rows == nullptr ? 0.0f : a.d_kl_rows[row];
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const float g = of_row + (a.kl_live == nullptr || k >= n ? total : total * a.kl_live[d + k]);
            const bool clamped = l.v[k] < s.log_var_min || l.v[k] > s.log_var_max;
            sum.v[k] += g * m.v[k];
            sum_eps.v[k] = clamped ? 0.0f : log_var_gradient(g, sigma.v[k], sum_eps.v[k], through_q);
        }
        if (a.d_mu != nullptr) store_quad(a.d_mu + row * s.row_stride, d, n, sum);
        if (a.d_log_var != nullptr) store_quad(a.d_log_var + row * s.row_stride, d, n, sum_eps);
    }
}

}  // namespace

// Partial sums of the blocks, of the items, and of the columns, one after the other.
size_t gaussian_workspace(const jl_gaussian* shape) {
    const Items t(*shape);
    const int64_t columns = shape->free_bits > 0.0f ? row_splits(shape->rows) * shape->dims : 0;
    return kWorkspaceHeader + static_cast<size_t>(t.blocks() + t.sums(*shape) + columns) * sizeof(float);
}

jl_status gaussian_forward(const jl_gaussian* shape, const float* mu, const float* log_var,
                           const float* noise, const jl_random* random, const float* kl_weight, float* z,
                           float* kl_rows, float* kl_total, float* log_q, float* log_p, float* kl_live,
                           jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_gaussian_forward(shape, mu, log_var, noise, random, workspace))
        return status;
    const jl_gaussian s = *shape;
    const Items t(s);
    float* block_kl = workspace_floats(workspace);
    float* item_sums = block_kl + t.blocks();
    const bool free_bits = s.free_bits > 0.0f, densities = log_q != nullptr || log_p != nullptr;
    const Forward a = {mu,
                       log_var,
                       noise,
                       random,
                       kl_weight,
                       z,
                       kl_rows,
                       free_bits ? nullptr : kl_total,
                       log_q,
                       log_p,
                       block_kl,
                       item_sums,
                       workspace_counter(workspace)};
    const auto kernel = densities ? gaussian_forward_kernel<true> : gaussian_forward_kernel<false>;
    if (const jl_status status = launch("gaussian_forward", t.blocks(), kBlock, 0, stream, kernel, s, t, a))
        return status;
    if (free_bits) {
        const dim3 grid(static_cast<unsigned>((s.dims + kWarp - 1) / kWarp),
                        static_cast<unsigned>(row_splits(s.rows)));
        return launch("gaussian_forward (free bits)", grid, kColumnWarps * kWarp, 0, stream, free_bits_kernel,
                      s, mu, log_var, kl_weight, kl_live, kl_total, item_sums + t.sums(s),
                      workspace_counter(workspace));
    }
    return kl_live == nullptr ? JL_OK : fill(kl_live, 1.0f, s.dims, stream);
}

jl_status gaussian_backward(const jl_gaussian* shape, const float* mu, const float* log_var,
                            const float* noise, const jl_random* random, const float* kl_weight,
                            const float* kl_live, const float* d_z, const float* d_kl_rows,
                            const float* d_kl_total, const float* d_log_q, const float* d_log_p, float* d_mu,
                            float* d_log_var, jl_stream stream) {
    if (const jl_status status = check_gaussian("gaussian_backward", shape, mu, log_var, noise, random))
        return status;
    JL_REQUIRE(shape->free_bits == 0.0f || kl_live != nullptr || d_kl_total == nullptr,
               "gaussian_backward: free bits need the kl_live that forward wrote");
    if (shape->rows == 0) return JL_OK;
    const jl_gaussian s = *shape;
    const Items t(s);
    const Backward a = {mu,        log_var,    noise,   random,  kl_weight, kl_live,  d_z,
                        d_kl_rows, d_kl_total, d_log_q, d_log_p, d_mu,      d_log_var};
    return launch("gaussian_backward", fixed_grid((s.rows * t.quads + kBlock - 1) / kBlock), kBlock, 0,
                  stream, gaussian_backward_kernel, s, t, a);
}

}  // namespace jlatent::JL_TABLE

// nearest.h on CUDA: products of f32 in shared memory with a running best in registers.
//
// A block takes 64 rows past all codes, 64 at a time. Thread (row group, slot) keeps the best and second best of four
// rows over the codes k with k % 16 = slot; then each warp settles rows.
#pragma once
#include "launch.h"
#include "nearest.h"

namespace jlatent::JL_TABLE {

constexpr int kSlots = 16;     // threads across the codes of a tile
constexpr int kEach = 4;       // rows, and codes, a thread multiplies at once
constexpr int kTileSide = 64;  // rows, and codes, of a tile
constexpr int kTileDims = 16;  // of both that are in shared memory
constexpr int kTileStride = kTileSide + 1;
constexpr int kWarps = kBlock / kWarp;

// What the first kernel finds out about the codebook.
struct CodebookSummary {
    double scale;    // nearest.h
    double largest;  // norm, scaled
    int32_t finite;
};

__device__ inline double warp_sum_f64(double v) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

// Sum, or maximum, over the block; all threads get it. A fixed tree.
template <bool kMaximum>
__device__ double block_total(double v) {
    JL_SHARED(double, partial, [kBlock]);
    __syncthreads();  // an earlier call's readers are done
    partial[threadIdx.x] = v;
    __syncthreads();
    for (unsigned width = kBlock / 2; width > 0; width /= 2) {
        if (threadIdx.x < width) {
            const double a = partial[threadIdx.x], b = partial[threadIdx.x + width];
            partial[threadIdx.x] = kMaximum ? (a > b ? a : b) : a + b;
        }
        __syncthreads();
    }
    return partial[0];
}

// A warp's; the same on all lanes. NaN or infinity where the row is not finite.
__device__ inline double norm_of(const float* x, int64_t dims) {
    double sum = 0.0;
    for (int64_t d = threadIdx.x % kWarp; d < dims; d += kWarp)
        sum += static_cast<double>(x[d]) * static_cast<double>(x[d]);
    return sqrt(warp_sum_f64(sum));
}

__device__ inline double score_f64(const float* x, const float* e, int64_t dims) {
    double sum = 0.0;
    for (int64_t d = threadIdx.x % kWarp; d < dims; d += kWarp) sum += score_part(x[d], e[d]);
    return warp_sum_f64(sum);
}

__device__ inline double distance_f64(const float* x, const float* e, int64_t dims) {
    double sum = 0.0;
    for (int64_t d = threadIdx.x % kWarp; d < dims; d += kWarp) {
        const double difference = static_cast<double>(x[d]) - static_cast<double>(e[d]);
        sum += difference * difference;
    }
    return sqrt(warp_sum_f64(sum));
}

__device__ inline bool is_finite_norm(double norm) { return norm <= 1e300; }

// Norms of the codes, one a warp, and, by the last block, their summary. Sets the histogram to 0.
static __global__ void codebook_kernel(const float* __restrict__ codebook, int64_t codes, int64_t dims,
                                       double* __restrict__ norms, int32_t* __restrict__ histogram,
                                       CodebookSummary* summary, unsigned* counter) {
    const int64_t k = blockIdx.x * static_cast<int64_t>(kWarps) + threadIdx.x / kWarp;
    if (k < codes) {
        const double norm = norm_of(codebook + k * dims, dims);
        if (threadIdx.x % kWarp == 0) {
            norms[k] = norm;
            if (histogram != nullptr) histogram[k] = 0;
        }
    }
    if (!last_block(counter)) return;
    double largest = 0.0, bad = 0.0;
    for (int64_t i = threadIdx.x; i < codes; i += kBlock) {
        const double norm = __ldcg(norms + i);
        largest = norm > largest ? norm : largest;
        bad = is_finite_norm(norm) ? bad : 1.0;
    }
    largest = block_total<true>(largest);
    bad = block_total<true>(bad);
    if (threadIdx.x != 0) return;
    summary->finite = bad == 0.0 ? 1 : 0;
    summary->scale = bad == 0.0 ? scale_of(largest) : 1.0;
    summary->largest = largest * summary->scale;
}

struct SearchShared {
    float x[kTileDims * kTileStride], e[kTileDims * kTileStride];
    float best[kTileSide * kSlots], second[kTileSide * kSlots];
    int32_t code[kTileSide * kSlots];
};

// kTileDims columns of kTileSide rows from `first` on, scaled; zeros past the end.
__device__ inline void load_tile(const float* rows, int64_t first, int64_t count, int64_t column,
                                 int64_t dims, double scale, float* to) {
    for (int i = static_cast<int>(threadIdx.x); i < kTileSide * kTileDims; i += kBlock) {
        const int r = i / kTileDims, d = i % kTileDims;
        const bool inside = first + r < count && column + d < dims;
        to[d * kTileStride + r] =
            inside ? static_cast<float>(static_cast<double>(rows[(first + r) * dims + column + d]) * scale)
                   : 0.0f;
    }
}

// Fills best, second and code of the block's rows. Rows that f32 cannot hold become infinite here; they are not asked for.
__device__ inline void sweep(const float* x, int64_t first, int64_t rows, const float* codebook,
                             const double* norms, int64_t codes, int64_t dims, double scale,
                             SearchShared* shared) {
    const int slot = static_cast<int>(threadIdx.x) % kSlots, group = static_cast<int>(threadIdx.x) / kSlots;
    float best[kEach], second[kEach];
    int32_t code[kEach];
    JL_UNROLL
    for (int i = 0; i < kEach; ++i) best[i] = second[i] = -INFINITY, code[i] = 0;
    for (int64_t base = 0; base < codes; base += kTileSide) {
        float sum[kEach][kEach];
        JL_UNROLL
        for (int j = 0; j < kEach; ++j) {
            const int64_t k = base + slot + j * kSlots;
            const double norm = k < codes ? norms[k] * scale : 0.0;
            const float bias = k < codes ? static_cast<float>(-0.5 * norm * norm) : -INFINITY;
            JL_UNROLL
            for (int i = 0; i < kEach; ++i) sum[i][j] = bias;
        }
        for (int64_t column = 0; column < dims; column += kTileDims) {
            __syncthreads();  // the last tile has been read
            load_tile(x, first, rows, column, dims, scale, shared->x);
            load_tile(codebook, base, codes, column, dims, scale, shared->e);
            __syncthreads();
            for (int d = 0; d < kTileDims; ++d) {
                float a[kEach], b[kEach];
                JL_UNROLL
                for (int i = 0; i < kEach; ++i) {
                    a[i] = shared->x[d * kTileStride + group * kEach + i];
                    b[i] = shared->e[d * kTileStride + slot + i * kSlots];
                }
                JL_UNROLL
                for (int i = 0; i < kEach; ++i) {
                    JL_UNROLL
                    for (int j = 0; j < kEach; ++j) sum[i][j] += a[i] * b[j];
                }
            }
        }
        JL_UNROLL
        for (int j = 0; j < kEach; ++j) {
            const int32_t k = static_cast<int32_t>(base) + slot + j * kSlots;
            JL_UNROLL
            for (int i = 0; i < kEach; ++i) {
                const float less = sum[i][j] < best[i] ? sum[i][j] : best[i];
                second[i] = less > second[i] ? less : second[i];
                code[i] = sum[i][j] > best[i] ? k : code[i];
                best[i] = sum[i][j] > best[i] ? sum[i][j] : best[i];
            }
        }
    }
    JL_UNROLL
    for (int i = 0; i < kEach; ++i) {
        const int at = (group * kEach + i) * kSlots + slot;
        shared->best[at] = best[i];
        shared->second[at] = second[i];
        shared->code[at] = code[i];
    }
}

// The nearest code of row x, by a whole warp, from what the sweep kept of it.
__device__ inline int64_t settle(const float* x, double norm, const float* codebook, const double* norms,
                                 int64_t codes, int64_t dims, const CodebookSummary& summary,
                                 const float* best, const float* second, const int32_t* code) {
    Nearest nearest = {-1, 0.0, 0.0};
    const double scaled = norm * summary.scale;
    const bool all = !(scaled < kLargestNorm);
    float least = 0.0f;
    if (!all) {
        float most = best[0];
        int at = 0;
        for (int l = 1; l < kSlots; ++l)
            if (best[l] > most) most = best[l], at = l;
        const double reach =
            (norm + distance_f64(x, codebook + code[at] * dims, dims)) * summary.scale * (1.0 + 1e-6);
        // Codes with a norm above |x| + |x - e| are farther than any code e: only those within count.
        const double bound = f32_bound(scaled, reach < summary.largest ? reach : summary.largest, dims);
        least = static_cast<float>(most - 2.0 * bound);
        int candidates = 0;
        for (int l = 0; l < kSlots; ++l)
            candidates += (best[l] >= least ? 1 : 0) + (second[l] >= least ? 1 : 0);
        if (candidates == 1) return code[at];
    }
    for (int l = 0; l < kSlots; ++l) {
        const bool whole = all || second[l] >= least;
        if (!whole && best[l] < least) continue;
        for (int64_t k = whole ? l : code[l]; k < codes; k += whole ? kSlots : codes)
            nearest.consider(x, codebook, dims, k, score_f64(x, codebook + k * dims, dims),
                             f64_bound(norm, norms[k], dims));
    }
    return nearest.code;
}

}  // namespace jlatent::JL_TABLE

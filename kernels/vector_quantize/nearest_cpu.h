// nearest.h on the CPU: a blocked product with a running best in registers, one source for all vector widths.
//
// A task is a block of rows that stays in the second-level cache. The codebook, packed once, goes past it in panels of
// two vectors of codes; a panel stays in the first-level cache while the rows of the block go past it, kTileRows at a time.
// With AMX most rows never come here: nearest_amx.h.
#pragma once
#include <omp.h>

#include <atomic>

#include "lanes.h"
#include "nearest.h"
#include "nearest_amx.h"
#include "parallel.h"
#include "product_cpu.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kBlockFloats = 128 * 1024, kMostBlockRows = 480;

typedef int32_t Indices __attribute__((vector_size(kLanes * sizeof(int32_t))));

constexpr double kLargestFinite = 1e300;  // more than any norm of finite floats, scaled or not

// What a row has seen so far. Lane l looks after the codes k with k % kLanes = l: its best score, the code that has it,
// and its second best.
struct Slots {
    Vector best, second;
    Indices code;
};

// Rows lie an odd number of cache lines apart, so that a tile's rows do not share sets.
inline int64_t packed_stride(int64_t dims) { return (dims + 15) / 32 * 32 + 16; }

inline int64_t block_rows(int64_t rows, int64_t dims) {
    int64_t most = kBlockFloats / dims / kTileRows * kTileRows;
    if (most > kMostBlockRows) most = kMostBlockRows;
    const int64_t all = (rows + kTileRows - 1) / kTileRows * kTileRows;
    if (most > all) most = all;
    return most < kTileRows ? kTileRows : most;
}

// Memory for the search: the packed codebook, and the size of what each strip (one thread's tasks) keeps.
struct NearestMemory {
    int64_t panels, panel_floats, shared_bytes, rows_bytes, strip_bytes;
    float*
        packed;  // [panels] of -|e|^2 / 2 [kPanel] and values [dims, kPanel], scaled; past the last code: -inf
    double* norms;  // [codes], as stored
    char* first_pass;

    static int64_t aligned(int64_t bytes) { return (bytes + 63) / 64 * 64; }

    NearestMemory(void* memory, int64_t rows, int64_t codes, int64_t dims)
        : panels((codes + kPanel - 1) / kPanel), panel_floats(kPanel * (dims + 1)) {
        const int64_t block = block_rows(rows, dims);
        rows_bytes = aligned(block * packed_stride(dims) * 4) + block * static_cast<int64_t>(sizeof(Slots)) +
                     aligned(block * 8) + aligned(block * 4);
        strip_bytes = rows_bytes + aligned(FirstPass::strip_bytes(block, codes, dims));
        packed = static_cast<float*>(memory);
        norms = reinterpret_cast<double*>(packed + panels * panel_floats);
        first_pass = reinterpret_cast<char*>(norms) + aligned(codes * 8);
        shared_bytes =
            first_pass + aligned(FirstPass::shared_bytes(codes, dims)) - static_cast<char*>(memory);
    }
};

// NaN or infinity where the row is not finite.
inline double norm_of(const float* x, int64_t dims) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = 0; d < dims; ++d) sum += static_cast<double>(x[d]) * static_cast<double>(x[d]);
    return std::sqrt(sum);
}

inline double score_f64(const float* x, const float* e, int64_t dims) {
    double sum = 0.0;
#pragma omp simd reduction(+ : sum)
    for (int64_t d = 0; d < dims; ++d) sum += score_part(x[d], e[d]);
    return sum;
}

class NearestSearch {
  public:
    // Packs the codebook. Its norms must be finite: see first_not_finite().
    NearestSearch(const NearestMemory& memory, const float* codebook, int64_t codes, int64_t dims)
        : m_(memory),
          codebook_(codebook),
          codes_(codes),
          dims_(dims),
          stride_(packed_stride(dims)),
          largest_(largest_norm()),
          scale_(scale_of(largest_)),
          first_pass_(m_.first_pass, codebook, scale_, codes, dims) {
        largest_ *= scale_;
        parallel_for(m_.panels, codes * dims, [=](int64_t p) { pack_panel(p); });
    }

    static int64_t first_not_finite(const double* norms, int64_t count) {
        for (int64_t i = 0; i < count; ++i)
            if (!(norms[i] <= kLargestFinite)) return i;
        return -1;
    }

    // Codes of `count` <= block_rows() rows of x, `stride` apart, in the given strip of memory; -1 where row_mask is 0.
    // They go to every `code_stride`-th place. Returns -1, or the first row that is not finite: codes are then without meaning.
    int64_t block(const float* x, int64_t stride, const float* row_mask, int64_t count, void* strip,
                  int64_t block, int32_t* codes, int64_t code_stride) const {
        float* rows = static_cast<float*>(strip);
        Slots* slots =
            reinterpret_cast<Slots*>(static_cast<char*>(strip) + NearestMemory::aligned(block * stride_ * 4));
        double* norms = reinterpret_cast<double*>(slots + block);
        int32_t* at =
            reinterpret_cast<int32_t*>(reinterpret_cast<char*>(norms) + NearestMemory::aligned(block * 8));
        int64_t open = 0;  // rows without a code; packed row i is row at[i]
        for (int64_t r = 0; r < count; ++r) {
            codes[r * code_stride] = -1;
            if (row_mask != nullptr && row_mask[r] == 0.0f) continue;
            norms[open] = pack_row(x + r * stride, rows + open * stride_);
            if (!(norms[open] <= kLargestFinite)) return r;
            at[open++] = static_cast<int32_t>(r);
        }
        open = first_pass_.settle(rows, stride_, norms, at, open, static_cast<char*>(strip) + m_.rows_bytes,
                                  [=](int64_t r, double norm, const int32_t* candidates, int64_t number) {
                                      codes[r * code_stride] =
                                          nearest_of(x + r * stride, norm, candidates, number);
                                  });
        const int64_t tiles = (open + kTileRows - 1) / kTileRows;
        for (int64_t i = open; i < tiles * kTileRows; ++i) pack_row(nullptr, rows + i * stride_);
        for (int64_t i = 0; i < tiles * kTileRows; ++i) {
            slots[i].best = slots[i].second = Vector{} - INFINITY;
            slots[i].code = Indices{};
        }
        for (int64_t p = 0; p < m_.panels && tiles > 0; ++p)
            for (int64_t t = 0; t < tiles; ++t)
                sweep(rows + t * kTileRows * stride_, m_.packed + p * m_.panel_floats,
                      static_cast<int32_t>(p * kPanel), slots + t * kTileRows);
        for (int64_t i = 0; i < open; ++i)
            codes[at[i] * code_stride] = static_cast<int32_t>(settle(x + at[i] * stride, norms[i], slots[i]));
        return -1;
    }

  private:
    double largest_norm() const {
        double* norms = m_.norms;
        const float* codebook = codebook_;
        const int64_t dims = dims_;
        parallel_for(codes_, codes_ * dims,
                     [=](int64_t k) { norms[k] = norm_of(codebook + k * dims, dims); });
        double largest = 0.0;
        for (int64_t k = 0; k < codes_; ++k) largest = norms[k] > largest ? norms[k] : largest;
        return largest;
    }

    void pack_panel(int64_t p) const {
        float* bias = m_.packed + p * m_.panel_floats;
        for (int64_t j = 0; j < kPanel; ++j) {
            const int64_t k = p * kPanel + j;
            float* to = bias + kPanel + j;
            const double norm = k < codes_ ? m_.norms[k] * scale_ : 0.0;
            bias[j] = k < codes_ ? static_cast<float>(-0.5 * norm * norm) : -INFINITY;
            for (int64_t d = 0; d < dims_; ++d)
                to[d * kPanel] =
                    k < codes_ ? static_cast<float>(static_cast<double>(codebook_[k * dims_ + d]) * scale_)
                               : 0.0f;
        }
    }

    // Scales a row; zeros for null, and where f32 cannot hold it. Returns the scaled norm, or a little more; NaN or
    // infinity where the row is not finite.
    double pack_row(const float* x, float* to) const {
        const float scale = static_cast<float>(scale_);
        if (x != nullptr && scale >= 0x1p-126f && scale <= 0x1p126f) {
            float square = 0.0f;
#pragma omp simd reduction(+ : square)
            for (int64_t d = 0; d < dims_; ++d) {
                to[d] = x[d] * scale;
                square += to[d] * to[d];
            }
            // Neither overflow nor underflow had a part.
            if (square > 1e-20f && square < 1e30f)
                return std::sqrt(square * (1.0 + rounding(static_cast<double>(dims_) + 4.0, 0x1p-24)));
        }
        const double norm = x == nullptr ? 0.0 : norm_of(x, dims_) * scale_;
        const bool fits = x != nullptr && norm < kLargestNorm;
        for (int64_t d = 0; d < dims_; ++d)
            to[d] = fits ? static_cast<float>(static_cast<double>(x[d]) * scale_) : 0.0f;
        return norm;
    }

    static void fold(Vector sum, Indices code, Slots* s) {
        const Vector best = s->best, second = s->second;
        const Vector less = sum < best ? sum : best;
        s->second = less > second ? less : second;
        s->code = sum > best ? code : s->code;
        s->best = sum > best ? sum : best;
    }

    // One panel of codes against kTileRows rows.
    void sweep(const float* rows, const float* panel, int32_t first, Slots* slots) const {
        Vector sum[kTileRows][2];
        const Vector bias0 = load(panel), bias1 = load(panel + kLanes);
#pragma GCC unroll 16
        for (int64_t r = 0; r < kTileRows; ++r) sum[r][0] = bias0, sum[r][1] = bias1;
        multiply(rows, stride_, 1, panel + kPanel, dims_, sum);
        Indices code;
        for (int64_t l = 0; l < kLanes; ++l) code[l] = first + static_cast<int32_t>(l);
#pragma GCC unroll 16
        for (int64_t r = 0; r < kTileRows; ++r) {
            fold(sum[r][0], code, slots + r);
            fold(sum[r][1], code + static_cast<int32_t>(kLanes), slots + r);
        }
    }

    // The nearest of some codes.
    int32_t nearest_of(const float* x, double scaled, const int32_t* candidates, int64_t number) const {
        if (number == 1) return candidates[0];
        const double norm = scaled / scale_;
        Nearest nearest = {-1, 0.0, 0.0};
        for (int64_t i = 0; i < number; ++i) {
            const int64_t k = candidates[i];
            nearest.consider(x, codebook_, dims_, k, score_f64(x, codebook_ + k * dims_, dims_),
                             f64_bound(norm, m_.norms[k], dims_));
        }
        return static_cast<int32_t>(nearest.code);
    }

    // The nearest code of a row, from what the sweep kept of it.
    int64_t settle(const float* x, double scaled, const Slots& slots) const {
        float best[kLanes], second[kLanes];
        int32_t code[kLanes];
        memcpy(best, &slots.best, sizeof best);
        memcpy(second, &slots.second, sizeof second);
        memcpy(code, &slots.code, sizeof code);
        const double norm = scaled / scale_;
        Nearest nearest = {-1, 0.0, 0.0};
        const auto consider = [&](int64_t k) {
            nearest.consider(x, codebook_, dims_, k, score_f64(x, codebook_ + k * dims_, dims_),
                             f64_bound(norm, m_.norms[k], dims_));
        };
        if (!(scaled < kLargestNorm)) {
            for (int64_t k = 0; k < codes_; ++k) consider(k);
            return nearest.code;
        }
        float most = best[0];
        for (int64_t l = 1; l < kLanes; ++l) most = best[l] > most ? best[l] : most;
        int32_t candidates = 0, found = 0;
        const auto look = [&](double largest) {
            const float least = static_cast<float>(most - 2.0 * f32_bound(scaled, largest, dims_));
            int32_t count = 0, at = 0;
            for (int64_t l = 0; l < kLanes; ++l) {
                count += (best[l] >= least ? 1 : 0) + (second[l] >= least ? 1 : 0);
                at |= best[l] == most ? code[l] : 0;  // of use where there is one candidate
            }
            candidates = count;
            found = at;
            return least;
        };
        float least = look(largest_);
        if (candidates == 1) return found;
        // Codes with a norm above |x| + |x - e| are farther than any code e: only those within count.
        int64_t any = 0;
        while (best[any] != most) ++any;
        const float* e = codebook_ + code[any] * dims_;
        double square = 0.0;
#pragma omp simd reduction(+ : square)
        for (int64_t d = 0; d < dims_; ++d) {
            const double difference = static_cast<double>(x[d]) - static_cast<double>(e[d]);
            square += difference * difference;
        }
        const double reach = (norm + std::sqrt(square)) * scale_ * (1.0 + 1e-6);
        if (reach < largest_) least = look(reach);
        if (candidates == 1) return found;
        for (int64_t l = 0; l < kLanes; ++l) {
            if (second[l] >= least)
                for (int64_t k = l; k < codes_; k += kLanes) consider(k);
            else if (best[l] >= least)
                consider(code[l]);
        }
        return nearest.code;
    }

    NearestMemory m_;
    const float* codebook_;
    int64_t codes_, dims_, stride_;
    double largest_;  // norm of the codebook, scaled
    double scale_;    // of codebook and rows
    FirstPass first_pass_;
};

}  // namespace jlatent::JL_TABLE

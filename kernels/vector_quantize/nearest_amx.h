// A first pass of the nearest codes in bf16, on the matrix tiles of AMX. It settles most rows; nearest_cpu.h does the others.
//
// Distances do not change when rows and codes are taken relative to a point, here the middle of the codebook: x and e,
// scaled and relative, are rounded to bf16; their products are exact, and are summed in f32. What rounding did to them
// is measured, so that |computed - s_k| <= bf16_bound() for every code, and codes whose computed score is within twice
// the bound of the best one are candidates. One candidate is the nearest code; fp64 compares a few.
//
// A tile of 16 codes times a tile of 16 rows has one row in each lane and one code in each line: a running best and
// second best of a group of codes stay in registers. The last bits of a score say which code of its group it is.
#pragma once
#include <atomic>

#include "nearest.h"
#include "parallel.h"
#include "tiles_amx.h"

namespace jlatent::JL_TABLE {

// For norms |x| and |e| and those of what rounding to bf16 took from them, dx and de:
// <x, e> - <x - dx, e - de> = <dx, e> + <x - dx, de>. <x, e> and |e|^2 are sums of f32 in any order, rounded or truncated, x
// and e are rounded to f32 themselves, and the last 7 bits of a score are replaced. The last term is for what falls under
// the smallest normal f32: AMX makes it zero.
inline double bf16_bound(double x, double dx, double e, double de, int64_t dims) {
    const double d = static_cast<double>(dims);
    return dx * e + (x + dx) * de +
           (rounding(2.0 * d + 32.0, 0x1p-23) + 0x1p-16) * (e * e * 0.5 + (x + dx) * (e + de)) +
           0x1p-122 * d * (1.0 + x);
}

#if defined(__AMX_BF16__)

class FirstPass {
  public:
    static int64_t shared_bytes(int64_t codes, int64_t dims) {
        return panels_of(codes) * kPanelCodes * (steps_of(dims) * kStep * 2 + 3 * 4) +
               steps_of(dims) * kStep * 4;
    }
    static int64_t strip_bytes(int64_t block, int64_t codes, int64_t dims) {
        return rows_of(block) * (steps_of(dims) * kStep * 2 + groups_of(codes) * 2 * 4 + 8);
    }

    // Packs the codebook, which `scale` brings to norms below 1.
    FirstPass(void* memory, const float* codebook, double scale, int64_t codes, int64_t dims)
        : codes_(codes), dims_(dims), steps_(steps_of(dims)), group_panels_(group_panels_of(codes)) {
        const int64_t count = panels_of(codes) * kPanelCodes;
        tiles_ = static_cast<uint16_t*>(memory);
        bias_ = reinterpret_cast<float*>(tiles_ + count * steps_ * kStep);
        float *norms = bias_ + count, *errors = norms + count;
        middle_ = errors + count;
        find_middle(codebook, scale);
        parallel_for(count, count * dims, [=](int64_t k) {
            pack_code(k, k < codes ? codebook + k * dims : nullptr, scale, norms + k, errors + k);
        });
        for (int64_t k = 0; k < codes; ++k) {
            largest_ = norms[k] > largest_ ? norms[k] : largest_;
            largest_error_ = errors[k] > largest_error_ ? errors[k] : largest_error_;
        }
    }

    // For scaled rows i in [0, count) of norms[i]: calls found(at[i], norms[i], candidates, number), of which the nearest
    // is the code. What stays open moves to the front of rows, norms and at; returns how many.
    template <class Callback>
    int64_t settle(float* rows, int64_t stride, double* norms, int32_t* at, int64_t count, void* strip,
                   Callback found) const {
        if (count == 0 || !pays_) return count;
        const Strip s(strip, *this, count);
        _tile_loadconfig(&kTileConfig);
        pack_rows(rows, stride, norms, count, s);
        std::atomic_signal_fence(
            std::memory_order_seq_cst);  // the compiler does not know that tiles read memory
        sweep(s);
        _tile_release();
        int64_t open = 0;
        for (int64_t first = 0; first < count; first += kTileRows) {
            Near near;
            look(s, first, &near);
            for (int64_t i = first; i < count && i < first + kTileRows; ++i) {
                const int64_t number = near.number[i - first];
                int32_t candidates[kMostCandidates];
                if (number == 1)
                    found(at[i], norms[i], near.code + (i - first), 1);
                else if (number <= kMostCandidates && number * kRescore <= codes_)
                    found(at[i], norms[i], candidates, list(s, i, near.least[i - first], candidates));
                else {
                    if (i != open)
                        memcpy(rows + open * stride, rows + i * stride,
                               static_cast<size_t>(dims_) * sizeof(float));
                    at[open] = at[i];
                    norms[open++] = norms[i];
                }
            }
        }
        if (2 * open > count) pays_ = false;
        return open;
    }

  private:
    static constexpr int64_t kStep = 32;                 // dimensions a tile holds
    static constexpr int64_t kTileRows = 16;             // and codes or rows
    static constexpr int64_t kTile = kTileRows * kStep;  // values: 1024 bytes
    static constexpr int64_t kPanelCodes = 32;           // two tiles
    static constexpr int64_t kMostGroupPanels = 4;       // 128 codes: 7 bits
    static constexpr int64_t kGroups = 128;              // of more codes where there would be more groups
    static constexpr int64_t kCacheBytes = 256 * 1024;   // of codes, in the second-level cache
    static constexpr int64_t kMiddleCodes = 256;
    static constexpr int64_t kMostCandidates = 512;
    static constexpr int64_t kRescore = 32;        // codes of the f32 pass in the time of one score in fp64
    static constexpr float kNoCode = -0x1.8p126f;  // below every score

    // What the pass keeps of a block of rows.
    struct Strip {
        uint32_t* words;  // [tiles, steps, 16 pairs of dimensions, 16 rows] of two bf16
        float* slots;     // [groups] of the best scores [rows], and the second best
        double* bounds;   // [rows] of the error of a score
        int64_t rows;     // of whole pairs of tiles

        Strip(void* memory, const FirstPass& pass, int64_t count) : rows(rows_of(count)) {
            words = static_cast<uint32_t*>(memory);
            slots = reinterpret_cast<float*>(words + rows * pass.steps_ * kStep / 2);
            bounds = reinterpret_cast<double*>(slots + groups_of(pass.codes_) * 2 * rows);
        }
    };

    // Of 16 rows: how many codes may be within the bound (a group of two or more counts as a whole), and one of them.
    struct alignas(64) Near {
        float least[kTileRows];
        int32_t number[kTileRows], code[kTileRows];
    };

    static int64_t rows_of(int64_t count) { return (count + 31) / 32 * 32; }
    static int64_t steps_of(int64_t dims) { return (dims + kStep - 1) / kStep; }
    static int64_t group_panels_of(int64_t codes) {
        int64_t panels = 1;
        while (panels < kMostGroupPanels && codes > kGroups * panels * kPanelCodes) panels *= 2;
        return panels;
    }
    static int64_t groups_of(int64_t codes) {
        const int64_t group = group_panels_of(codes) * kPanelCodes;
        return (codes + group - 1) / group;
    }
    // Whole groups.
    static int64_t panels_of(int64_t codes) { return groups_of(codes) * group_panels_of(codes); }

    // The mean of some codes: any point would do.
    void find_middle(const float* codebook, double scale) const {
        const int64_t every = (codes_ + kMiddleCodes - 1) / kMiddleCodes,
                      number = (codes_ + every - 1) / every;
        for (int64_t d = 0; d < steps_ * kStep; ++d) middle_[d] = 0.0f;
        for (int64_t k = 0; k < codes_; k += every) {
            const float* e = codebook + k * dims_;
#pragma omp simd
            for (int64_t d = 0; d < dims_; ++d)
                middle_[d] +=
                    static_cast<float>(static_cast<double>(e[d]) * scale / static_cast<double>(number));
        }
    }

    // What rounding a row or code has to do with its bound, 16 dimensions in each lane.
    struct Norms {
        __m512 squares = _mm512_setzero_ps(), lost = _mm512_setzero_ps();

        double norm(int64_t dims) const { return of(squares, dims); }
        double error(int64_t dims) const { return of(lost, dims); }

      private:
        // Rounded up; squares below 2^-126 may have vanished.
        static double of(__m512 sums, int64_t dims) {
            const double d = static_cast<double>(dims);
            return std::sqrt(_mm512_reduce_add_ps(sums) * (1.0 + rounding(d + 8.0, 0x1p-24)) + 0x1p-125 * d);
        }
    };

    // Up to 32 dimensions from `first` on, relative to the middle, as bf16; the rest are zeros.
    __m512i round(const float* values, int64_t first, Norms* norms) const {
        const int64_t rest = dims_ - first;
        const uint32_t filled = rest < kStep ? (1u << rest) - 1u : ~0u;
        __m512 half[2];
        for (int h = 0; h < 2; ++h) {
            const __mmask16 mask = static_cast<__mmask16>(filled >> 16 * h);
            half[h] = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, values + 16 * h),
                                          _mm512_loadu_ps(middle_ + first + 16 * h));
            norms->squares = _mm512_fmadd_ps(half[h], half[h], norms->squares);
        }
        const __m512i rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(half[1], half[0]));
        const __m512 lost[2] = {_mm512_sub_ps(half[0], widen(_mm512_castsi512_si256(rounded))),
                                _mm512_sub_ps(half[1], widen(_mm512_extracti64x4_epi64(rounded, 1)))};
        norms->lost = _mm512_fmadd_ps(lost[0], lost[0], norms->lost);
        norms->lost = _mm512_fmadd_ps(lost[1], lost[1], norms->lost);
        return rounded;
    }

    // Code k as line k % 16 of its tiles, [panels, 2 tiles, steps, 16 codes, 32 dimensions]; zeros for null.
    void pack_code(int64_t k, const float* e, double scale, float* norm, float* error) const {
        Norms norms;
        for (int64_t step = 0; step < steps_; ++step) {
            const int64_t first = step * kStep, rest = dims_ - first < kStep ? dims_ - first : kStep;
            float scaled[kStep] = {};
            for (int64_t d = 0; d < rest && e != nullptr; ++d)
                scaled[d] = static_cast<float>(static_cast<double>(e[first + d]) * scale);
            _mm512_storeu_si512(tiles_ + (k / kTileRows * steps_ + step) * kTile + k % kTileRows * kStep,
                                e == nullptr ? _mm512_setzero_si512() : round(scaled, first, &norms));
        }
        bias_[k] = e == nullptr ? kNoCode : -0.5f * _mm512_reduce_add_ps(norms.squares);
        *norm = static_cast<float>(norms.norm(dims_) * (1.0 + 0x1p-23));
        *error = static_cast<float>(norms.error(dims_) * (1.0 + 0x1p-23));
    }

    // Rows as columns of tiles, and the bounds of their scores.
    void pack_rows(const float* rows, int64_t stride, const double* norms, int64_t count,
                   const Strip& s) const {
        for (int64_t first = 0; first < s.rows; first += kTileRows) {
            Norms of_row[kTileRows];
            for (int64_t step = 0; step < steps_; ++step) {
                __m512i lines[kTileRows];
                for (int64_t r = 0; r < kTileRows; ++r) {
                    const int64_t row = first + r < count ? first + r : count - 1;  // past the last: it again
                    lines[r] = round(rows + row * stride + step * kStep, step * kStep, &of_row[r]);
                }
                transpose(lines);
                uint32_t* to = s.words + (first * steps_ + step * kTileRows) * kStep / 2;
                for (int64_t r = 0; r < kTileRows; ++r) _mm512_storeu_si512(to + r * kTileRows, lines[r]);
            }
            for (int64_t r = 0; r < kTileRows; ++r) {
                const double bound = bf16_bound(of_row[r].norm(dims_), of_row[r].error(dims_), largest_,
                                                largest_error_, dims_);
                const bool small = first + r >= count || norms[first + r] < kLargestNorm;
                s.bounds[first + r] = small && bound < INFINITY ? bound : INFINITY;
            }
        }
    }

    static __m512 widen(__m256i halves) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
    }

    // All codes past all rows: as many groups as the cache holds at a time.
    void sweep(const Strip& s) const {
        const int64_t groups = groups_of(codes_),
                      group_bytes = group_panels_ * kPanelCodes * steps_ * kStep * 2;
        const int64_t chunk = kCacheBytes > group_bytes ? kCacheBytes / group_bytes : 1;
        for (int64_t start = 0; start < groups; start += chunk)
            for (int64_t r = 0; r < s.rows; r += 2 * kTileRows)
                for (int64_t g = start; g < groups && g < start + chunk; ++g)
                    sweep_group(g, s.words + r * steps_ * kStep / 2, s.slots + g * 2 * s.rows + r, s.rows);
    }

    // A group of codes against two tiles of rows.
    void sweep_group(int64_t group, const uint32_t* words, float* best, int64_t rows) const {
        alignas(64) float scores[4][kTileRows][kTileRows];  // [tile of codes, tile of rows][code][row]
        __m512 first[2], second[2];
        for (int j = 0; j < 2; ++j) first[j] = second[j] = _mm512_set1_ps(-INFINITY);
        const uint32_t* next = words + steps_ * kTile / 2;
        for (int64_t p = 0; p < group_panels_; ++p) {
            const int64_t k = (group * group_panels_ + p) * kPanelCodes;
            const uint16_t *a = tiles_ + k * steps_ * kStep, *b = a + steps_ * kTile;
            zero_sums();
            for (int64_t step = 0; step < steps_; ++step) {
                _tile_loadd(4, a + step * kTile, 64);
                _tile_loadd(6, words + step * kTile / 2, 64);
                _tile_dpbf16ps(0, 4, 6);
                _tile_loadd(7, next + step * kTile / 2, 64);
                _tile_dpbf16ps(1, 4, 7);
                _tile_loadd(5, b + step * kTile, 64);
                _tile_dpbf16ps(2, 5, 6);
                _tile_dpbf16ps(3, 5, 7);
            }
            _tile_stored(0, scores[0], 64);
            _tile_stored(1, scores[1], 64);
            _tile_stored(2, scores[2], 64);
            _tile_stored(3, scores[3], 64);
#pragma GCC unroll 16
            for (int64_t i = 0; i < kPanelCodes; i += 2)
#pragma GCC unroll 2
                for (int64_t j = 0; j < 2; ++j) {
                    const float(*of)[kTileRows] = scores[i / kTileRows * 2 + j] + i % kTileRows;
                    const __m512 one = score(of[0], k + i, p * kPanelCodes + i),
                                 two = score(of[1], k + i + 1, p * kPanelCodes + i + 1);
                    const __m512 more = _mm512_max_ps(one, two), less = _mm512_min_ps(one, two);
                    second[j] = _mm512_max_ps(second[j], _mm512_max_ps(less, _mm512_min_ps(first[j], more)));
                    first[j] = _mm512_max_ps(first[j], more);
                }
        }
        for (int j = 0; j < 2; ++j) {
            _mm512_storeu_ps(best + j * kTileRows, first[j]);
            _mm512_storeu_ps(best + rows + j * kTileRows, second[j]);
        }
    }

    // s_k of 16 rows from <x, e_k>; the last bits are the code's place in its group.
    __m512 score(const float* products, int64_t k, int64_t place) const {
        const __m512 s = _mm512_add_ps(_mm512_load_ps(products), _mm512_set1_ps(bias_[k]));
        const __m512i kept = _mm512_and_si512(_mm512_castps_si512(s), _mm512_set1_epi32(~kPlace));
        return _mm512_castsi512_ps(_mm512_or_si512(kept, _mm512_set1_epi32(static_cast<int>(place))));
    }

    void look(const Strip& s, int64_t first, Near* near) const {
        const int64_t groups = groups_of(codes_), group_codes = group_panels_ * kPanelCodes;
        const float* best = s.slots + first;
        __m512 most = _mm512_loadu_ps(best);
        for (int64_t g = 1; g < groups; ++g)
            most = _mm512_max_ps(most, _mm512_loadu_ps(best + g * 2 * s.rows));
        _mm512_store_ps(near->least, most);
        for (int64_t r = 0; r < kTileRows; ++r)
            near->least[r] = static_cast<float>(near->least[r] - 2.0 * s.bounds[first + r]);
        const __m512 least = _mm512_load_ps(near->least);
        const __m512i one = _mm512_set1_epi32(1),
                      others = _mm512_set1_epi32(static_cast<int>(group_codes) - 1);
        __m512i number = _mm512_setzero_si512(), code = number;
        for (int64_t g = 0; g < groups; ++g) {
            const __m512 b = _mm512_loadu_ps(best + g * 2 * s.rows);
            const __mmask16 within = _mm512_cmp_ps_mask(b, least, _CMP_GE_OQ);
            const __mmask16 also =
                _mm512_cmp_ps_mask(_mm512_loadu_ps(best + g * 2 * s.rows + s.rows), least, _CMP_GE_OQ);
            number = _mm512_mask_add_epi32(number, within, number, one);
            number = _mm512_mask_add_epi32(number, also, number, others);
            const __m512i place = _mm512_and_si512(_mm512_castps_si512(b), _mm512_set1_epi32(kPlace));
            code = _mm512_mask_add_epi32(code, within, place,
                                         _mm512_set1_epi32(static_cast<int>(g * group_codes)));
        }
        _mm512_store_si512(near->number, number);
        _mm512_store_si512(near->code, code);
    }

    // The codes of row i that may reach `least`; returns how many.
    int64_t list(const Strip& s, int64_t i, float least, int32_t* candidates) const {
        const int64_t groups = groups_of(codes_), group_codes = group_panels_ * kPanelCodes;
        int64_t count = 0;
        for (int64_t g = 0; g < groups; ++g) {
            const float best = s.slots[g * 2 * s.rows + i], second = s.slots[(g * 2 + 1) * s.rows + i];
            const int64_t first = g * group_codes;
            if (second >= least)
                for (int64_t k = first; k < first + group_codes && k < codes_; ++k)
                    candidates[count++] = static_cast<int32_t>(k);
            else if (best >= least)
                candidates[count++] =
                    static_cast<int32_t>(first) + static_cast<int32_t>(bits_of_float(best) & kPlace);
        }
        return count;
    }

    static constexpr int32_t kPlace = kMostGroupPanels * kPanelCodes - 1;

    int64_t codes_, dims_, steps_, group_panels_;
    double largest_ = 0.0, largest_error_ = 0.0;  // norm of a code, and of what rounding took
    uint16_t* tiles_;
    float* bias_;                           // [codes]: -|e|^2 / 2
    float* middle_;                         // [dims], scaled
    mutable std::atomic<bool> pays_{true};  // until most of a block's rows stay open
};

#else

// Without AMX every row stays open.
struct FirstPass {
    static int64_t shared_bytes(int64_t, int64_t) { return 0; }
    static int64_t strip_bytes(int64_t, int64_t, int64_t) { return 0; }
    FirstPass(void*, const float*, double, int64_t, int64_t) {}
    template <class Callback>
    int64_t settle(float*, int64_t, double*, int32_t*, int64_t count, void*, Callback) const {
        return count;
    }
};

#endif

}  // namespace jlatent::JL_TABLE

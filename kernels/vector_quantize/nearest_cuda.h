// nearest.h on CUDA: fp16 on tensor cores (sweep_cuda.h) settles most rows, fp64 the others.
//
// Codebook and rows are multiplied with powers of two, 2^a and 2^q (one a book, one a row), that bring their largest
// value into [2^14, 2^15), and rounded to fp16. With v = 2^q x, w = 2^a e, c = -|w|^2 / 2 rounded from fp64, and sums as
// tensor cores cut them (mma.h), a score is s = 2^(a-q) <fp16(v), fp16(w)> + c, in f32. With dv = |v - fp16(v)| and
// dw = |w - fp16(w)| as measured, gamma = 2 (D + 32) 2^-23, and the largest |w|, dw and |c| of the codes,
//   |s - s exact| <= B = 2^(a-q) (dv |w| + |v| dw) + gamma / (1 - gamma) P + 2^-23 (|c| + P / (1 - gamma)) + 2^-146
//   P = 2^(a-q) (|v| + dv) (|w| + dw)
// The last term is for what falls under the smallest f32. Where a row is so much larger than the codes that f32 could
// overflow (a - q > 70), every code goes to fp64; where it is so much smaller that 2^(a-q) would vanish, q gives way.
//
// A row is settled when one code alone has s >= best - 2B. Otherwise fp64 compares all such codes. Mostly there is one in
// each of a few slots, and they are known; slots with more are searched for them again by the whole block, in f32.
// Counted on the emulator, K = 512 to 16384, D = 32 to 256, Gaussian, trained, initial and normalised codebooks: 1.6 to
// 8.6 % of the rows are not settled at once, 0.2 to 1.6 % of them all are searched again.
#pragma once
#include "sweep_cuda.h"

namespace jlatent::JL_TABLE {

constexpr uint32_t kInfiniteBits = 0x7f800000u;

// The a for which the largest value, given by its bits, lies in [2^14, 2^15); less where it is denormal or 0.
__device__ inline int scale_exponent(uint32_t largest) {
    const int exponent = static_cast<int>(largest >> 23) - 127;
    return 14 - (exponent < -126 ? -126 : exponent);
}
// 2^e for -126 <= e <= 127.
__device__ inline float power_of_two(int e) { return float_of_bits(static_cast<uint32_t>(e + 127) << 23); }

// Over `width` neighbouring lanes, a power of two; all of them get it.
__device__ inline double lanes_sum(double v, int width) {
    for (int offset = width / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}
template <class T>
__device__ T lanes_largest(T v, int width) {
    for (int offset = width / 2; offset > 0; offset /= 2) {
        const T other = __shfl_xor_sync(0xffffffffu, v, offset);
        v = other > v ? other : v;
    }
    return v;
}

// The bits of the largest absolute value, by the kRowLanes that share `row`; above infinity's where one is NaN.
__device__ inline uint32_t largest_bits(const float* row, int64_t dims) {
    uint32_t largest = 0;
    for (int64_t d = threadIdx.x % kRowLanes * 4; d < dims; d += kRowLanes * 4) {
        const Quad x = load_quad(row, d, dims - d < 4 ? static_cast<int>(dims - d) : 4);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const uint32_t size = bits_of_float(x.v[k]) & 0x7fffffffu;
            largest = size > largest ? size : largest;
        }
    }
    return lanes_largest(largest, kRowLanes);
}

// By the kRowLanes that share the row; `largest` from largest_bits(), finite.
__device__ inline RowScale scale_row(const float* row, int64_t dims, uint32_t largest, int book_exponent) {
    int exponent = scale_exponent(largest);
    if (book_exponent - exponent < -120) exponent = book_exponent + 120;
    RowScale scale = {};
    const bool fits = book_exponent - exponent <= 70;
    if (fits) {
        const int half = exponent / 2;
        scale.first = power_of_two(half);
        scale.second = power_of_two(exponent - half);
        scale.unit = power_of_two(book_exponent - exponent);
    }
    float square = 0.0f, error = 0.0f;
    for (int64_t d = threadIdx.x % kRowLanes * 4; d < dims && fits; d += kRowLanes * 4) {
        const Quad x = load_quad(row, d, dims - d < 4 ? static_cast<int>(dims - d) : 4);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const float v = scale.scaled(x.v[k]), lost = v - f16_rounded(v);  // exact
            square += v * v;
            error += lost * lost;
        }
    }
    const float slack = 1.0f + static_cast<float>(dims + 64) * 0x1p-24f;
    scale.norm = sqrtf(warp_sum(square, kRowLanes) * slack) * (1.0f + 0x1p-20f);
    scale.error = sqrtf(warp_sum(error, kRowLanes) * slack) * (1.0f + 0x1p-20f);
    return scale;
}

// B for codes of at most this norm and rounding error, and a little more.
__device__ inline double f16_bound(const RowScale& row, double norm, double error, int64_t dims) {
    const double gamma = static_cast<double>(dims + 32) * 0x1p-22, unit = row.unit, v = row.norm,
                 dv = row.error;
    if (gamma >= 0.5) return INFINITY;
    const double product = unit * (v + dv) * (norm + error) / (1.0 - gamma);
    const double bound =
        unit * (dv * norm + v * error) + gamma * product + 0x1p-23 * (norm * norm * 0.5 + product);
    return (bound + 0x1p-146) * (1.0 + 0x1p-20);
}

// ---- what the sweep leaves open ----

struct WideScore {
    double score, bound;
};

// Of one code and a row of norm `norm`, by 32 lanes or by one, which is then lane 0.
__device__ inline WideScore score_f64(const float* x, double norm, const float* e, int64_t dims, int lane,
                                      int lanes) {
    double sum = 0.0, square = 0.0;
    for (int64_t d = lane; d < dims; d += lanes) {
        sum += score_part(x[d], e[d]);
        square += static_cast<double>(e[d]) * static_cast<double>(e[d]);
    }
    return {lanes_sum(sum, lanes), f64_bound(norm, sqrt(lanes_sum(square, lanes)), dims)};
}

// |x - e|, or |x| where e is null, by a warp.
__device__ inline double distance_f64(const float* x, const float* e, int64_t dims) {
    double sum = 0.0;
    for (int64_t d = threadIdx.x % kWarp; d < dims; d += kWarp) {
        const double difference =
            static_cast<double>(x[d]) - (e == nullptr ? 0.0 : static_cast<double>(e[d]));
        sum += difference * difference;
    }
    return sqrt(lanes_sum(sum, kWarp));
}

// Of code k as the sweep has it, or nearer: the row is not rounded and the sum not cut. By one lane.
__device__ inline float score_f32(const float* x, const RowScale& scale, const Book& book, int64_t k) {
    const uint16_t* halves = book.halves + k * book.padded;
    float sum = 0.0f;
    for (int64_t d = 0; d < book.dims; d += 8) {
        const float4 eight = *reinterpret_cast<const float4*>(halves + d);
        const uint32_t e[4] = {bits_of_float(eight.x), bits_of_float(eight.y), bits_of_float(eight.z),
                               bits_of_float(eight.w)};
        JL_UNROLL
        for (int i = 0; i < 8; ++i)
            if (d + i < book.dims)
                sum += scale.scaled(x[d + i]) * f16_value(static_cast<uint16_t>(e[i / 2] >> i % 2 * 16));
    }
    return fmaf(sum, scale.unit, book.bias[k]);
}

// The best of the codes of row r that have s >= least, over all slots that may have several: a code a thread. Each
// warp has one of its own.
__device__ inline Nearest search_slots(const float* x, const Book& book, const SearchShared& shared, int r) {
    const RowScale scale = shared.scale[r];
    const double least = shared.least[r], norm = distance_f64(x, nullptr, book.dims);
    const int64_t codes = (book.codes + kTileCodes - 1) / kTileCodes * Sweeper<1>::kCodes;
    Nearest own = {-1, 0.0, 0.0}, best = own;
    const auto consider = [&](Nearest* nearest, int64_t k, const WideScore& s) {
        nearest->consider(x, book.codebook, book.dims, k, s.score, s.bound);
    };
    for (int slot = 0; slot < kSlots; ++slot) {
        if (shared.best[slot][r] < least) continue;
        for (int64_t i = threadIdx.x; i < codes; i += kBlock) {
            const int64_t k = Sweeper<1>::code_of(slot, i);
            if (k < book.codes && score_f32(x, scale, book, k) >= least)
                consider(&own, k, score_f64(x, norm, book.codebook + k * book.dims, book.dims, 0, 1));
        }
    }
    for (int from = 0; from < kWarp; ++from) {
        const int64_t k = __shfl_sync(0xffffffffu, own.code, from);
        const WideScore s = {__shfl_sync(0xffffffffu, own.score, from),
                             __shfl_sync(0xffffffffu, own.bound, from)};
        if (k >= 0) consider(&best, k, s);
    }
    return best;
}

// The nearest code of row r, whose values are x, by a warp; -1 where a slot may have several of the codes that come
// into question, and shared->least[r] then. Otherwise there is one in each, and it is known.
__device__ inline int32_t settle(const float* x, const Book& book, SearchShared* shared, int r) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const RowScale scale = shared->scale[r];
    const double norm = distance_f64(x, nullptr, book.dims);
    double least = -INFINITY;
    if (scale.unit != 0.0f) {
        int at = 0;
        for (int l = 1; l < kSlots; ++l)
            if (shared->best[l][r] > shared->best[at][r]) at = l;
        double bound = f16_bound(scale, book.summary.largest, book.summary.error, book.dims);
        if (shared->second[at][r] < shared->best[at][r]) {  // or the code may be another
            // Codes with a norm above |x| + |x - e| are farther than any code e: only those within count.
            const float* e = book.codebook + shared->code[at][r] * book.dims;
            const double reach =
                (norm + distance_f64(x, e, book.dims)) * ldexp(1.0, book.summary.exponent) * (1.0 + 1e-6);
            const double error = reach * 0x1p-11 + sqrt(static_cast<double>(book.dims)) * 0x1p-25;
            if (reach < book.summary.largest)
                bound = f16_bound(scale, reach, error < book.summary.error ? error : book.summary.error,
                                  book.dims);
        }
        least = shared->best[at][r] - 2.0 * bound;
    }
    Nearest nearest = {-1, 0.0, 0.0};
    for (int l = 0; l < kSlots; ++l) {
        if (shared->second[l][r] >= least) {
            if (lane == 0) shared->least[r] = least;
            return -1;
        }
        if (shared->best[l][r] < least) continue;
        const int64_t k = shared->code[l][r];
        const WideScore s = score_f64(x, norm, book.codebook + k * book.dims, book.dims, lane, kWarp);
        nearest.consider(x, book.codebook, book.dims, k, s.score, s.bound);
    }
    return static_cast<int32_t>(nearest.code);
}

// After the sweep, and a barrier: found[r] = the nearest code of every row with live(r). All threads: a row each while one
// code alone comes into question; then the other rows, a warp each; then those with crowded slots, one after the other.
template <class Live>
__device__ void settle_rows(const float* rows, int64_t stride, const Book& book, Live live,
                            SearchShared* shared, int32_t* found) {
    const int warp = static_cast<int>(threadIdx.x) / kWarp, lane = static_cast<int>(threadIdx.x) % kWarp;
    if (threadIdx.x == 0) shared->unsettled_rows = 0;
    __syncthreads();
    const int own = static_cast<int>(threadIdx.x);
    if (own < kTileRows && live(own)) {
        float most = -INFINITY;
        int at = 0;
        for (int l = 0; l < kSlots; ++l)
            if (shared->best[l][own] > most) most = shared->best[l][own], at = l;
        const RowScale scale = shared->scale[own];
        const double least =
            most - 2.0 * f16_bound(scale, book.summary.largest, book.summary.error, book.dims);
        int candidates = 0;
        for (int l = 0; l < kSlots; ++l)
            candidates += (shared->best[l][own] >= least ? 1 : 0) + (shared->second[l][own] >= least ? 1 : 0);
        if (candidates == 1 && scale.unit != 0.0f)
            found[own] = shared->code[at][own];
        else
            shared->unsettled[atomicAdd(&shared->unsettled_rows, 1u)] = own;
    }
    __syncthreads();
    const int unsettled = static_cast<int>(shared->unsettled_rows);
    for (int i = warp; i < unsettled; i += kWarps) {
        const int r = shared->unsettled[i];
        const int32_t code = settle(rows + r * stride, book, shared, r);
        if (lane == 0) found[r] = code;
    }
    __syncthreads();
    for (int i = 0; i < unsettled; ++i) {
        const int r = shared->unsettled[i];
        if (found[r] >= 0) continue;
        const float* x = rows + r * stride;
        const Nearest nearest = search_slots(x, book, *shared, r);
        if (lane == 0) shared->nearest[warp] = nearest;
        __syncthreads();
        if (threadIdx.x == 0) {
            Nearest all = shared->nearest[0];
            for (const Nearest& other : shared->nearest)
                if (other.code >= 0)
                    all.consider(x, book.codebook, book.dims, other.code, other.score, other.bound);
            found[r] = static_cast<int32_t>(all.code);
        }
        __syncthreads();
    }
}

}  // namespace jlatent::JL_TABLE

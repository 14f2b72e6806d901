// nearest.h on CUDA: a first pass in fp16 on tensor cores with a running best in registers, then fp64 where that leaves
// more than one candidate.
//
// Codebook and rows are multiplied with powers of two, 2^a and 2^q (one a book, one a row), that bring their largest
// value into [2^14, 2^15), and rounded to fp16. With v = 2^q x, w = 2^a e, c = -|w|^2 / 2 rounded from fp64 and sums as
// tensor cores cut them (mma.h), the score is s = 2^(a-q) <fp16(v), fp16(w)> + c, in f32. For dv = |v - fp16(v)| and
// dw = |w - fp16(w)|, measured, gamma = 2 (D + 32) 2^-23 and maxima over the codes,
//   |s - s exact| <= 2^(a-q) (dv |w| + |v| dw + gamma (|v| + dv) (|w| + dw)) + 2^-23 (|c| + 2^(a-q) |v| |w|) + 2^-146
// The last term is for what falls under the smallest f32. Where a row is so much larger than the codes that f32 could
// overflow (a - q > 70), every code goes to fp64; where it is so much smaller that 2^(a-q) would vanish, q gives way.
//
// A block of 8 warps takes 128 rows past all codes, 64 at a time; a warp multiplies 32 x 32 of these. 32 rows, because a
// code's fragment then serves two mma: 1 KB of shared memory for 8 mma, about what both can do in the same time. The fragments
// of up to 256 dims stay in registers (32 for every 64 dims, beside 32 sums and 32 running bests); longer rows are loaded again
// for every 64 codes. 128 rows, because a block reads the whole codebook once for them: 64 multiply-adds a byte from the
// second-level cache. Three buffers of 64 codes x 64 dims, so that two are on their way: 28 KB, and two blocks fit.
//
// Running best: of every score, the best of its place in the tile (a register a place) and of its tile (a
// register a row), two FMNMX a score. From both follow a thread's best, its code, and its second best without more.
#pragma once
#include "mma.h"
#include "nearest.h"

namespace jlatent::JL_TABLE {

constexpr int kTileRows = 128, kTileCodes = 64;
constexpr int kWarpRows = 32, kWarpCodes = 32;  // of a tile
constexpr int kWarps = kBlock / kWarp;
constexpr int kChunkDims = 64;               // of the codes in a buffer
constexpr int kCodeStride = kChunkDims + 8;  // 8 rows of a matrix then lie in 8 different groups of banks
constexpr int kBuffers = 3;
constexpr int kSlots = 8;     // threads that share a row; a slot has the codes of one of them
constexpr int kRowLanes = 8;  // that go through a row together, where whole rows are read
constexpr int kStep = 16;     // dims of an mma
constexpr int kChunkSteps = kChunkDims / kStep;
static_assert((kTileRows / kWarpRows) * (kTileCodes / kWarpCodes) == kWarps, "a warp each");

constexpr uint32_t kInfiniteBits = 0x7f800000u;

// What the codebook kernels find out about one book, its codes multiplied with 2^exponent.
struct BookSummary {
    double largest;  // norm
    double error;    // largest norm of what rounding to fp16 took away
    int32_t exponent, finite;
};

// One book, as the search wants it.
struct Book {
    const float* codebook;   // [codes, dims], as stored
    const uint16_t* halves;  // fp16 [tiles 64, padded], zeros past the end
    const float* bias;       // c [tiles 64], -inf past the end
    int64_t codes, dims, padded;
    BookSummary summary;
};

// fp16 rows are padded to whole mma, or, where there are several chunks, to whole chunks.
inline int64_t padded_dims(int64_t dims) {
    const int64_t to = dims <= kChunkDims ? kStep : kChunkDims;
    return (dims + to - 1) / to * to;
}

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

// How a row is multiplied: by two factors, because 2^q may be no f32. All 0: a row of zeros.
struct RowScale {
    float first, second;
    float unit;         // 2^(a-q); 0: every code goes to fp64
    float norm, error;  // |v|, dv; or a little more

    __device__ float scaled(float x) const { return x * first * second; }
};

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

// Of the scores' errors, for codes of at most this norm and rounding error, in fp64.
__device__ inline double f16_bound(const RowScale& row, double norm, double error, int64_t dims) {
    const double gamma = static_cast<double>(dims + 32) * 0x1p-22, v = row.norm, dv = row.error;
    if (gamma >= 0.5) return INFINITY;
    const double products = dv * norm + v * error + gamma / (1.0 - gamma) * (v + dv) * (norm + error);
    return (row.unit * products + 0x1p-23 * (norm * norm * 0.5 + row.unit * (v + dv) * norm) + 0x1p-146) *
           (1.0 + 0x1p-20);
}

struct CodeBuffer {
    alignas(16) uint16_t e[kTileCodes * kCodeStride];
    alignas(16) float bias[kTileCodes];
};

struct SearchShared {
    CodeBuffer buffer[kBuffers];
    RowScale scale[kTileRows];
    float best[kSlots][kTileRows], second[kSlots][kTileRows];
    int32_t code[kSlots][kTileRows];
    int32_t unsettled[kTileRows];
    unsigned unsettled_rows;
};

__device__ inline void copy_codes(const Book& book, int tile, int chunk, CodeBuffer* to) {
    const uint16_t* from = book.halves + tile * (kTileCodes * book.padded) + chunk * kChunkDims;
    const int64_t left = book.padded - chunk * kChunkDims;
    for (int i = static_cast<int>(threadIdx.x); i < kTileCodes * kChunkDims / 8; i += kBlock) {
        const int code = i / (kChunkDims / 8), d = i % (kChunkDims / 8) * 8;
        if (d < left) copy_async_16(to->e + code * kCodeStride + d, from + code * book.padded + d);
    }
    const int i = static_cast<int>(threadIdx.x) * 4;
    if (i < kTileCodes) copy_async_16(to->bias + i, book.bias + tile * int64_t{kTileCodes} + i);
}

// What one thread of the sweep keeps of its four rows, row_of(m, half), and of its 8 codes of a tile, column_of(p): two
// neighbours in each of four mma, which are multiplied in pairs.
template <int kHeld>
struct Sweeper {
    uint32_t a[kHeld][2][4];
    float sum[2][2][2][4];  // of pair, m, mma of the pair
    float place[2][2][8];   // the best of (m, half, p)
    float most[2][2];       // of this tile
    float tile_best[2][2], tile_second[2][2];
    int32_t best_tile[2][2];
    float unit[2][2];
    int row, column;  // the warp's, in the tile

    __device__ explicit Sweeper(const RowScale* scales) {
        const int warp = static_cast<int>(threadIdx.x) / kWarp;
        row = warp / (kTileCodes / kWarpCodes) * kWarpRows;
        column = warp % (kTileCodes / kWarpCodes) * kWarpCodes;
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int m = i / 2, half = i % 2;
            unit[m][half] = scales[row_of(m, half)].unit;
            tile_best[m][half] = tile_second[m][half] = -INFINITY;
            best_tile[m][half] = 0;
            JL_UNROLL
            for (int p = 0; p < 8; ++p) place[m][half][p] = -INFINITY;
        }
    }

    __device__ static int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
    __device__ int row_of(int m, int half) const { return row + m * 16 + half * 8 + lane() / 4; }
    __device__ int column_of(int p) const { return column + p / 2 * 8 + lane() % 4 * 2 + p % 2; }

    // The fragments from dim `first` on.
    __device__ void load_rows(const float* rows, int64_t stride, int64_t dims, int64_t first,
                              const RowScale* scales) {
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int m = i / 2, half = i % 2;
            const RowScale scale = scales[row_of(m, half)];
            const float* x = rows + row_of(m, half) * stride;
            JL_UNROLL
            for (int j = 0; j < 2 * kHeld; ++j) {
                const int64_t d = first + j * 8 + lane() % 4 * 2;
                const bool live = scale.unit != 0.0f;
                const float low = live && d < dims ? scale.scaled(x[d]) : 0.0f;
                const float high = live && d + 1 < dims ? scale.scaled(x[d + 1]) : 0.0f;
                a[j / 2][m][j % 2 * 2 + half] = f16_pair(low, high);
            }
        }
    }

    __device__ void clear(int pair) {
        JL_UNROLL
        for (int i = 0; i < 16; ++i) sum[pair][i / 8][i / 4 % 2][i % 4] = 0.0f;
    }

    // One step of a pair; e points at its dims of the buffer's first code.
    __device__ void multiply(int pair, const uint32_t (&x)[2][4], const uint16_t* e) {
        uint32_t b[4];
        load_matrices(
            b, e + (column + pair * 16 + lane() / 16 * 8 + lane() % 8) * kCodeStride + lane() / 8 % 2 * 8);
        const uint32_t left[2] = {b[0], b[1]}, right[2] = {b[2], b[3]};
        JL_UNROLL
        for (int m = 0; m < 2; ++m) {
            mma_f16(sum[pair][m][0], x[m], left);
            mma_f16(sum[pair][m][1], x[m], right);
        }
    }

    __device__ void begin_tile() {
        JL_UNROLL
        for (int i = 0; i < 4; ++i) most[i / 2][i % 2] = -INFINITY;
    }

    __device__ void fold(int pair, const float* bias) {
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int p = pair * 4 + i;
            const float c = bias[column_of(p)];
            JL_UNROLL
            for (int r = 0; r < 4; ++r) {
                const int m = r / 2, half = r % 2;
                const float s = fmaf(sum[pair][m][i / 2][half * 2 + i % 2], unit[m][half], c);
                place[m][half][p] = fmaxf(place[m][half][p], s);
                most[m][half] = fmaxf(most[m][half], s);
            }
        }
    }

    __device__ void end_tile(int tile) {
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int m = i / 2, half = i % 2;
            float& best = tile_best[m][half];
            tile_second[m][half] = fmaxf(tile_second[m][half], fminf(most[m][half], best));
            if (most[m][half] > best) best_tile[m][half] = tile;
            best = fmaxf(best, most[m][half]);
        }
    }

    // Where two codes share the best score, the code may be another; second = best then.
    __device__ void write(SearchShared* shared) const {
        const int slot = column / kWarpCodes * 4 + lane() % 4;
        JL_UNROLL
        for (int i = 0; i < 4; ++i) {
            const int m = i / 2, half = i % 2, r = row_of(m, half);
            float best = -INFINITY, second = tile_second[m][half];
            int at = 0;
            JL_UNROLL
            for (int p = 0; p < 8; ++p) {
                const float s = place[m][half][p];
                second = fmaxf(second, fminf(s, best));
                at = s > best ? column_of(p) : at;
                best = fmaxf(best, s);
            }
            shared->best[slot][r] = best;
            shared->second[slot][r] = second;
            shared->code[slot][r] = best_tile[m][half] * kTileCodes + at;
        }
    }
};

// Fills best, second and code of the block's rows from their scales. kHeldSteps: of 16 dims, that stay in registers; 0:
// rows of any length, which are loaded again for every tile of codes. All threads; the scales are there behind a barrier.
template <int kHeldSteps>
__device__ void sweep(const float* rows, int64_t stride, const Book& book, SearchShared* shared) {
    constexpr int kHeld = kHeldSteps == 0 ? kChunkSteps : kHeldSteps, kHeldChunks = kHeld / kChunkSteps;
    const int chunks = kHeldSteps == kChunkSteps
                           ? 1  // sums of one pair are gone before those of the other begin
                           : static_cast<int>((book.padded + kChunkDims - 1) / kChunkDims);
    const int tiles = static_cast<int>((book.codes + kTileCodes - 1) / kTileCodes);
    int tile_to_copy = 0, chunk_to_copy = 0, to_copy = 0, to_read = 0;  // the last two: buffers
    const auto copy_next = [&] {
        if (tile_to_copy < tiles) copy_codes(book, tile_to_copy, chunk_to_copy, &shared->buffer[to_copy]);
        copy_async_commit();
        to_copy = to_copy + 1 < kBuffers ? to_copy + 1 : 0;
        if (++chunk_to_copy == chunks) chunk_to_copy = 0, ++tile_to_copy;
    };
    for (int i = 0; i + 1 < kBuffers; ++i) copy_next();
    Sweeper<kHeld> own(shared->scale);
    if (kHeldSteps != 0) own.load_rows(rows, stride, book.dims, 0, shared->scale);
    for (int tile = 0; tile < tiles; ++tile) {
        own.begin_tile();
        for (int base = 0; base < chunks; base += kHeldChunks) {
            if (kHeldSteps == 0)
                own.load_rows(rows, stride, book.dims, base * int64_t{kChunkDims}, shared->scale);
            JL_UNROLL
            for (int c = 0; c < kHeldChunks; ++c) {
                if (base + c >= chunks) break;
                copy_async_wait<kBuffers - 2>();
                __syncthreads();  // the buffer is there for all, and the one asked for next has been read
                copy_next();
                const CodeBuffer& buffer = shared->buffer[to_read];
                to_read = to_read + 1 < kBuffers ? to_read + 1 : 0;
                const int64_t left = book.padded - (base + c) * int64_t{kChunkDims};
                JL_UNROLL
                for (int pair = 0; pair < 2; ++pair) {
                    if (base + c == 0) own.clear(pair);
                    JL_UNROLL
                    for (int step = 0; step < kChunkSteps; ++step)
                        if (step * kStep < left)
                            own.multiply(pair, own.a[c * kChunkSteps + step], buffer.e + step * kStep);
                    if (base + c + 1 == chunks) own.fold(pair, buffer.bias);
                }
            }
        }
        own.end_tile(tile);
    }
    own.write(shared);
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

// All codes of a slot, each by a lane; then the lanes' best, by all.
__device__ inline void consider_slot(const float* x, double norm, const Book& book, int slot,
                                     Nearest* nearest) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t tiles = (book.codes + kTileCodes - 1) / kTileCodes;
    Nearest own = {-1, 0.0, 0.0};
    for (int64_t j = lane; j < tiles * 8; j += kWarp) {
        const int p = static_cast<int>(j % 8);  // Sweeper::column_of
        const int64_t k = j / 8 * kTileCodes + slot / 4 * kWarpCodes + p / 2 * 8 + slot % 4 * 2 + p % 2;
        if (k >= book.codes) continue;
        const WideScore s = score_f64(x, norm, book.codebook + k * book.dims, book.dims, 0, 1);
        own.consider(x, book.codebook, book.dims, k, s.score, s.bound);
    }
    for (int from = 0; from < kWarp; ++from) {
        const int64_t k = __shfl_sync(0xffffffffu, own.code, from);
        const double score = __shfl_sync(0xffffffffu, own.score, from);
        const double bound = __shfl_sync(0xffffffffu, own.bound, from);
        if (k >= 0) nearest->consider(x, book.codebook, book.dims, k, score, bound);
    }
}

// The nearest code of row r, whose values are x, by a warp.
__device__ inline int32_t settle(const float* x, const Book& book, const SearchShared& shared, int r) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const RowScale scale = shared.scale[r];
    const double norm = distance_f64(x, nullptr, book.dims);
    double least = -INFINITY;
    if (scale.unit != 0.0f) {
        int at = 0;
        for (int l = 1; l < kSlots; ++l)
            if (shared.best[l][r] > shared.best[at][r]) at = l;
        double bound = f16_bound(scale, book.summary.largest, book.summary.error, book.dims);
        if (shared.second[at][r] < shared.best[at][r]) {
            // Codes with a norm above |x| + |x - e| are farther than any code e: only those within count.
            const float* e = book.codebook + shared.code[at][r] * book.dims;
            const double reach =
                (norm + distance_f64(x, e, book.dims)) * ldexp(1.0, book.summary.exponent) * (1.0 + 1e-6);
            const double error = reach * 0x1p-11 + sqrt(static_cast<double>(book.dims)) * 0x1p-25;
            if (reach < book.summary.largest)
                bound = f16_bound(scale, reach, error < book.summary.error ? error : book.summary.error,
                                  book.dims);
        }
        least = shared.best[at][r] - 2.0 * bound;
    }
    Nearest nearest = {-1, 0.0, 0.0};
    for (int l = 0; l < kSlots; ++l) {
        if (shared.second[l][r] >= least) {
            consider_slot(x, norm, book, l, &nearest);
        } else if (shared.best[l][r] >= least) {
            const int64_t k = shared.code[l][r];
            const WideScore s = score_f64(x, norm, book.codebook + k * book.dims, book.dims, lane, kWarp);
            nearest.consider(x, book.codebook, book.dims, k, s.score, s.bound);
        }
    }
    return static_cast<int32_t>(nearest.code);
}

// After the sweep, and a barrier: found[r] = the nearest code of every row with live[r]. All threads.
template <class Live>
__device__ void settle_rows(const float* rows, int64_t stride, const Book& book, Live live,
                            SearchShared* shared, int32_t* found) {
    if (threadIdx.x == 0) shared->unsettled_rows = 0;
    __syncthreads();
    const int r = static_cast<int>(threadIdx.x);
    if (r < kTileRows && live(r)) {
        float most = -INFINITY;
        int at = 0;
        for (int l = 0; l < kSlots; ++l)
            if (shared->best[l][r] > most) most = shared->best[l][r], at = l;
        const RowScale scale = shared->scale[r];
        const double least =
            most - 2.0 * f16_bound(scale, book.summary.largest, book.summary.error, book.dims);
        int candidates = 0;
        for (int l = 0; l < kSlots; ++l)
            candidates += (shared->best[l][r] >= least ? 1 : 0) + (shared->second[l][r] >= least ? 1 : 0);
        if (candidates == 1 && scale.unit != 0.0f)
            found[r] = shared->code[at][r];
        else
            shared->unsettled[atomicAdd(&shared->unsettled_rows, 1u)] = r;
    }
    __syncthreads();
    for (unsigned i = threadIdx.x / kWarp; i < shared->unsettled_rows; i += kWarps) {
        const int row = shared->unsettled[i];
        const int32_t code = settle(rows + row * stride, book, *shared, row);
        if (threadIdx.x % kWarp == 0) found[row] = code;
    }
}

}  // namespace jlatent::JL_TABLE

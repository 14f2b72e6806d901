// The first pass of the search for the nearest codes: fp16 on tensor cores, with a running best in registers.
//
// A block of 8 warps takes 128 rows past all codes of a book, 64 at a time; a warp multiplies 32 rows with 32 codes.
// 128 rows      the block reads the fp16 codebook once for them: 64 multiply-adds a byte from the second-level cache
// 32 rows       a code's fragment then serves two mma, so that a ldmatrix (512 bytes) comes with four mma: shared memory
//               and tensor cores take about the same time
// registers     of the rows' fragments, up to 256 dims: 32 for every 64, beside 32 running bests and 16 or 32 sums. Longer rows
//               are loaded and rounded again for every tile of codes
// 3 buffers     of 64 codes x 64 dims, so that two are on their way while one is read: 28 KB; with what else a block shares
//               47 KB, and two blocks fit beside each other, which up to 64 dims have registers for, too
//
// Running best. Of the scores of a row that a thread sees, it keeps the best of every place in the tile (8 registers) and
// the best, the second best and the number of whole tiles: two FMNMX a score and little more. The best's place and
// tile name its code; the second best of all is the larger of the second best place's and the second best tile's.
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

// How a row is multiplied: by two factors, because 2^q may be no f32. All 0: a row of zeros.
struct RowScale {
    float first, second;
    float unit;         // 2^(a-q); 0: every code goes to fp64
    float norm, error;  // |v|, dv; or a little more

    __device__ float scaled(float x) const { return x * first * second; }
};

struct CodeBuffer {
    alignas(16) uint16_t e[kTileCodes * kCodeStride];
    alignas(16) float bias[kTileCodes];
};

struct SearchShared {
    CodeBuffer buffer[kBuffers];
    RowScale scale[kTileRows];
    float best[kSlots][kTileRows], second[kSlots][kTileRows];
    int32_t code[kSlots][kTileRows];
    double least[kTileRows];  // the next three: of rows that the sweep does not settle
    Nearest nearest[kWarps];
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

    // The codes of a slot, in ascending order: kCodes a tile.
    static constexpr int kCodes = 8;
    __device__ static int64_t code_of(int slot, int64_t i) {
        const int p = static_cast<int>(i % kCodes);
        return i / kCodes * kTileCodes + slot / 4 * kWarpCodes + p / 2 * 8 + slot % 4 * 2 + p % 2;
    }

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
    __device__ int slot() const { return column / kWarpCodes * 4 + lane() % 4; }
    __device__ int column_of(int p) const { return static_cast<int>(code_of(slot(), p)); }

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
        const int slot = this->slot();
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

}  // namespace jlatent::JL_TABLE

// Rows summed by code, in a fixed order: the gradient of a table that rows were gathered from, or a codebook's
// statistics.
//
// code_sort   order = the positions n in [0, count), sorted by codes[n], ascending n within a code (a stable
//             counting sort); starts[k] = where those of code k begin. Codes outside [0, codes) come last.
// code_sums   out[k,:] = sum of rows[n,:] over the positions of code k; 0 where there are none. With `origin`
//             [codes, dims], not null, of rows[n,:] - origin[k,:]. A code's positions are cut in chunks of kCodeChunk; a chunk is added from its first position to its last, then chunks
//             in their order: the same order, and sum, on every table.
//
// Both live in code_sums_cpu.h and code_sums_cuda.h; this is what they share.
#pragma once
#include "host_device.h"
#include "jlatent.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kCodeChunk = 128;
constexpr int64_t kMostCodeDims = int64_t{1} << 20;  // CUDA grids have at most 65535 times 32 columns

struct CodeSort {
    int64_t count;    // positions
    int64_t codes;    // K
    int64_t tile;     // positions that one worker counts
    int32_t* starts;  // [codes + 2]; the last two: codes out of range, count
    int32_t* extras;  // [codes + 1]: chunks before code k that are not the first of their code
    int32_t* order;   // [count]
    int32_t* counts;  // [tiles, codes + 1], then positions within a code before each tile's own
    float* partial;   // [most_extras, dims]: sums of the chunks that are not a code's first
};

// At least one, which zeroes the counters.
inline int64_t code_tiles(int64_t count, int64_t tile) { return count == 0 ? 1 : (count + tile - 1) / tile; }
inline int64_t most_extras(int64_t count) { return count / kCodeChunk; }

// Chunks of a code with this many positions, less one.
JL_HOST_DEVICE int32_t extra_chunks(int32_t positions) {
    return positions == 0 ? 0 : (positions - 1) / static_cast<int32_t>(kCodeChunk);
}

inline size_t code_sort_integers(int64_t count, int64_t codes, int64_t tile) {
    return static_cast<size_t>(2 * codes + 3 + count + code_tiles(count, tile) * (codes + 1) + 3) / 4 * 4;
}

// Bytes that a sort and sums of `dims` columns need.
inline size_t code_sums_bytes(int64_t count, int64_t codes, int64_t tile, int64_t dims) {
    return sizeof(int32_t) * code_sort_integers(count, codes, tile) +
           sizeof(float) * static_cast<size_t>(most_extras(count) * dims);
}

// A sort in memory of code_sums_bytes(), 16-byte aligned.
inline CodeSort code_sort_in(void* memory, int64_t count, int64_t codes, int64_t tile) {
    CodeSort s = {count, codes, tile, static_cast<int32_t*>(memory), nullptr, nullptr, nullptr, nullptr};
    s.extras = s.starts + codes + 2;
    s.order = s.extras + codes + 1;
    s.counts = s.order + count;
    s.partial = reinterpret_cast<float*>(s.starts + code_sort_integers(count, codes, tile));
    return s;
}

}  // namespace jlatent::JL_TABLE

// code_sums.h on CUDA: five launches, no atomics on floats.
#pragma once
#include "code_sums.h"
#include "launch.h"

namespace jlatent::JL_TABLE {

constexpr int kBlockWarps = kBlock / kWarp;

// What a warp counts. Grows with the counters, so that these stay within eight times the positions.
inline int64_t code_tile(int64_t codes) {
    return codes < 8192 ? 1024 : (codes / 8 + kWarp - 1) / kWarp * kWarp;
}

__device__ inline int32_t bucket_of(int32_t code, int64_t codes) {
    return code >= 0 && code < codes ? code : static_cast<int32_t>(codes);
}

// The live lanes whose bucket is this lane's.
__device__ inline unsigned same_bucket(bool live, int32_t bucket, int64_t codes) {
    unsigned same = __ballot_sync(0xffffffffu, live);
    for (int bit = 0; codes >> bit != 0; ++bit) {
        const bool set = (bucket >> bit & 1) != 0;
        const unsigned ones = __ballot_sync(0xffffffffu, set);
        same &= set ? ones : ~ones;
    }
    return same;
}

// A warp goes through its tile in order, 32 positions at a time, and alone uses its row of `counts`: first to count,
// then, when the counts have become starting points, to put every position in its place.
template <bool kPlace>
static __global__ void code_tile_kernel(const int32_t* __restrict__ codes, int64_t stride, CodeSort s) {
    const int64_t t = blockIdx.x * static_cast<int64_t>(kBlockWarps) + threadIdx.x / kWarp;
    const int lane = threadIdx.x % kWarp;
    const int64_t first = t * s.tile, end = first + s.tile < s.count ? first + s.tile : s.count;
    int32_t* counts = s.counts + t * (s.codes + 1);
    if (t > 0 && first >= s.count) return;  // the whole warp
    if (!kPlace)
        for (int64_t k = lane; k <= s.codes; k += kWarp) counts[k] = 0;
    __syncwarp();
    for (int64_t base = first; base < end; base += kWarp) {
        const bool live = base + lane < end;
        const int32_t bucket = live ? bucket_of(codes[(base + lane) * stride], s.codes) : 0;
        const unsigned same = same_bucket(live, bucket, s.codes);
        const unsigned earlier = same & ((1u << lane) - 1u);
        const int32_t before = live ? counts[bucket] : 0;
        if (kPlace && live)
            s.order[s.starts[bucket] + before + __popc(earlier)] = static_cast<int32_t>(base + lane);
        __syncwarp();  // all have read
        if (live && earlier == 0) counts[bucket] = before + __popc(same);
        __syncwarp();
    }
}

// Exclusive prefix sum over the block's threads, and the total.
__device__ inline int32_t block_prefix(int32_t value, int32_t* total) {
    JL_SHARED(int32_t, sums, [kBlock]);
    __syncthreads();  // an earlier call's readers are done
    sums[threadIdx.x] = value;
    __syncthreads();
    for (int offset = 1; offset < kBlock; offset *= 2) {
        const int32_t other = threadIdx.x >= static_cast<unsigned>(offset) ? sums[threadIdx.x - offset] : 0;
        __syncthreads();
        sums[threadIdx.x] += other;
        __syncthreads();
    }
    *total = sums[kBlock - 1];
    return sums[threadIdx.x] - value;
}

// Counts become what comes before each tile within a code; the last block makes starts and extras of the totals.
static __global__ void code_starts_kernel(CodeSort s, int64_t tiles, unsigned* counter) {
    const int64_t width = s.codes + 1, k = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (k < width) {
        int32_t before = 0;
        for (int64_t t = 0; t < tiles; ++t) {
            const int32_t own = s.counts[t * width + k];
            s.counts[t * width + k] = before;
            before += own;
        }
        s.starts[k] = before;
    }
    if (!last_block(counter)) return;
    int32_t start = 0, extra = 0;  // of the codes before this round's
    for (int64_t base = 0; base < width; base += kBlock) {
        const int64_t code = base + threadIdx.x;
        const int32_t own = code < width ? __ldcg(s.starts + code) : 0;
        const int32_t more = code < s.codes ? extra_chunks(own) : 0;
        int32_t total, extra_total;
        const int32_t before = block_prefix(own, &total);
        const int32_t extra_before = block_prefix(more, &extra_total);
        if (code < width) {
            s.starts[code] = start + before;
            s.extras[code] = extra + extra_before;
        }
        start += total;
        extra += extra_total;
    }
    if (threadIdx.x == 0) s.starts[width] = start;
}

// Rows as code_sums takes them: value() gives column d of row n.
struct PlainRows {
    const float* values;
    int64_t dims;

    __device__ float value(int64_t n, int64_t d) const { return values[n * dims + d]; }
};

// Warps take chunks, 32 columns each: first the first chunk of every code, straight into `out`, then the others.
template <class Rows>
static __global__ void code_chunks_kernel(Rows rows, const float* __restrict__ origin, CodeSort s,
                                          int64_t dims, float* __restrict__ out) {
    const int64_t item = blockIdx.x * static_cast<int64_t>(kBlockWarps) + threadIdx.x / kWarp;
    const int64_t column = blockIdx.y * static_cast<int64_t>(kWarp) + threadIdx.x % kWarp;
    if (column >= dims) return;
    int64_t code = item, chunk = 0;
    float* to = out + item * dims + column;
    if (item >= s.codes) {
        const int64_t extra = item - s.codes;
        if (extra >= s.extras[s.codes]) return;
        int64_t low = 0, high = s.codes;  // extras[low] <= extra < extras[high]
        while (high - low > 1) {
            const int64_t middle = (low + high) / 2;
            if (s.extras[middle] <= extra)
                low = middle;
            else
                high = middle;
        }
        code = low;
        chunk = 1 + extra - s.extras[low];
        to = s.partial + extra * dims + column;
    }
    const int64_t stop = s.starts[code + 1], first = s.starts[code] + chunk * kCodeChunk;
    const int64_t end = first + kCodeChunk < stop ? first + kCodeChunk : stop;
    const float from = origin == nullptr ? 0.0f : origin[code * dims + column];
    float sum = 0.0f;
    for (int64_t p = first; p < end; ++p) sum += rows.value(s.order[p], column) - from;
    *to = sum;
}

static __global__ void code_extras_kernel(CodeSort s, int64_t dims, float* __restrict__ out) {
    const int64_t code = blockIdx.x * static_cast<int64_t>(kBlockWarps) + threadIdx.x / kWarp;
    const int64_t column = blockIdx.y * static_cast<int64_t>(kWarp) + threadIdx.x % kWarp;
    if (code >= s.codes || column >= dims) return;
    const int64_t first = s.extras[code], end = s.extras[code + 1];
    if (first == end) return;
    float sum = out[code * dims + column];
    for (int64_t e = first; e < end; ++e) sum += s.partial[e * dims + column];
    out[code * dims + column] = sum;
}

inline unsigned warps_grid(int64_t warps) {
    return static_cast<unsigned>((warps + kBlockWarps - 1) / kBlockWarps);
}

// The code of position n is codes[n * stride]. `counter` is zero, and is so again afterwards.
inline jl_status code_sort(const char* operation, const int32_t* codes, int64_t stride, const CodeSort& s,
                           unsigned* counter, jl_stream stream) {
    const int64_t tiles = code_tiles(s.count, s.tile);
    if (const jl_status status = launch(operation, warps_grid(tiles), kBlock, 0, stream,
                                        code_tile_kernel<false>, codes, stride, s))
        return status;
    const unsigned blocks = static_cast<unsigned>(s.codes / kBlock + 1);
    if (const jl_status status =
            launch(operation, blocks, kBlock, 0, stream, code_starts_kernel, s, tiles, counter))
        return status;
    return launch(operation, warps_grid(tiles), kBlock, 0, stream, code_tile_kernel<true>, codes, stride, s);
}

template <class Rows>
jl_status code_sums(const char* operation, const Rows& rows, const float* origin, const CodeSort& s,
                    int64_t dims, float* out, jl_stream stream) {
    const unsigned across = static_cast<unsigned>((dims + kWarp - 1) / kWarp);
    const dim3 chunks(warps_grid(s.codes + most_extras(s.count)), across), codes(warps_grid(s.codes), across);
    if (const jl_status status = launch(operation, chunks, kBlock, 0, stream, code_chunks_kernel<Rows>, rows,
                                        origin, s, dims, out))
        return status;
    if (most_extras(s.count) == 0) return JL_OK;
    return launch(operation, codes, kBlock, 0, stream, code_extras_kernel, s, dims, out);
}

}  // namespace jlatent::JL_TABLE

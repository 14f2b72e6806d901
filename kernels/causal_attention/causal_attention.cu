// causal_attention on CUDA: a block takes kOwn positions of a head, queries or keys, and meets the others kWarp at a time. A warp
// has kRows of the block's positions; its lanes are first the others, for scores, then dims, for the sums that scores weigh.
#include "causal_attention.h"

#include "launch.h"
#include "math.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int kWarps = 4, kThreads = kWarps * kWarp;
constexpr int kRows = 4, kOwn = kWarps * kRows;
constexpr int kQuad = 4;
constexpr int kChunks = kMostHeadDims / kWarp;  // dims a lane

// Rows in shared memory: own ones in whole quads, so that all lanes read four numbers of one at once; of the others every lane
// reads another one, in a bank of its own.
struct Tiles {
    int dims, pitch;
    float *own[2], *p, *other, *deltas;

    __device__ Tiles(float* memory, int64_t dims_, int owns)
        : dims(static_cast<int>(dims_)), pitch((dims + kQuad - 1) / kQuad * kQuad) {
        own[0] = memory;
        own[1] = memory + kOwn * pitch;
        p = memory + owns * kOwn * pitch;
        deltas = p + kOwn * kWarp;
        other = deltas + kWarp;
    }
    static size_t bytes(int64_t dims, int owns) {
        const size_t pitch = static_cast<size_t>((dims + kQuad - 1) / kQuad * kQuad);
        return (owns * kOwn * pitch + kOwn * kWarp + kWarp + kWarp * (pitch + 1)) * sizeof(float);
    }

    // Rows [first, first + rows) of x, zeros from row `end` on.
    __device__ void load(const float* x, int64_t stride, int64_t first, int64_t end, int rows, float* to,
                         int to_pitch) const {
        for (int i = static_cast<int>(threadIdx.x); i < rows * pitch; i += kThreads) {
            const int r = i / pitch, d = i % pitch;
            to[r * to_pitch + d] = first + r < end && d < dims ? x[(first + r) * stride + d] : 0.0f;
        }
    }
    __device__ void load_own(int which, const float* x, int64_t stride, int64_t first, int64_t end) const {
        load(x, stride, first, end, kOwn, own[which], pitch);
    }
    // Between barriers: the last ones have been read, these may be.
    __device__ void load_other(const float* x, int64_t stride, int64_t first, int64_t end) const {
        __syncthreads();
        load(x, stride, first, end, kWarp, other, pitch + 1);
        __syncthreads();
    }

    // Products of the warp's own rows with the lane's other one.
    __device__ void scores(int which, float (&s)[kRows]) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
        JL_UNROLL
        for (int r = 0; r < kRows; ++r) s[r] = 0.0f;
        for (int d = 0; d < pitch; d += kQuad) {
            float b[kQuad];
            JL_UNROLL
            for (int q = 0; q < kQuad; ++q) b[q] = other[lane * (pitch + 1) + d + q];
            JL_UNROLL
            for (int r = 0; r < kRows; ++r) {
                const float4 a =
                    *reinterpret_cast<const float4*>(own[which] + (warp * kRows + r) * pitch + d);
                s[r] += a.x * b[0];
                s[r] += a.y * b[1];
                s[r] += a.z * b[2];
                s[r] += a.w * b[3];
            }
        }
    }

    // The warp's rows of p.
    __device__ void put(const float (&weights)[kRows]) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
        __syncwarp();  // they have been read
        JL_UNROLL
        for (int r = 0; r < kRows; ++r) p[(warp * kRows + r) * kWarp + lane] = weights[r];
        __syncwarp();
    }

    // sum[r][c] += sum over the other rows o of p[r, o] other[o, lane + 32 c]; of those only that sees(row, o) where kMasked:
    // the rest may be NaN.
    template <bool kMasked, class Sees>
    __device__ void add(Sees sees, float (&sum)[kRows][kChunks]) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
        for (int o = 0; o < kWarp; o += kQuad) {
            float w[kRows][kQuad];
            JL_UNROLL
            for (int r = 0; r < kRows; ++r) {
                const float4 four = *reinterpret_cast<const float4*>(p + (warp * kRows + r) * kWarp + o);
                w[r][0] = four.x, w[r][1] = four.y, w[r][2] = four.z, w[r][3] = four.w;
            }
            JL_UNROLL
            for (int c = 0; c < kChunks; ++c) {
                const int d = lane + c * kWarp;
                JL_UNROLL
                for (int q = 0; q < kQuad; ++q) {
                    const float x = d < dims ? other[(o + q) * (pitch + 1) + d] : 0.0f;
                    JL_UNROLL
                    for (int r = 0; r < kRows; ++r)
                        if (!kMasked || sees(warp * kRows + r, o + q)) sum[r][c] += w[r][q] * x;
                }
            }
        }
    }

    // deltas[r] = d_out_r out_r of rows from `first` on, d_out being in shared memory; four lanes a row.
    __device__ void put_deltas(const float* d_out, int d_pitch, const float* out, int64_t stride,
                               int64_t first, int64_t end) const {
        const int row = static_cast<int>(threadIdx.x) / kQuad, part = static_cast<int>(threadIdx.x) % kQuad;
        float sum = 0.0f;
        if (first + row < end)
            for (int d = part; d < dims; d += kQuad)
                sum += d_out[row * d_pitch + d] * out[(first + row) * stride + d];
        sum = warp_sum(sum, kQuad);
        if (part == 0) deltas[row] = sum;
    }

    // The warp's own rows to memory.
    __device__ void write(const float (&sum)[kRows][kChunks], const float (&by)[kRows], float* x,
                          int64_t stride, int64_t first, int64_t end) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
        JL_UNROLL
        for (int r = 0; r < kRows; ++r) {
            const int64_t row = first + warp * kRows + r;
            JL_UNROLL
            for (int c = 0; c < kChunks; ++c) {
                const int d = lane + c * kWarp;
                if (row < end && d < dims) x[row * stride + d] = sum[r][c] * by[r];
            }
        }
    }
};
static_assert(kThreads / kQuad >= kWarp && kThreads / kQuad >= kOwn, "put_deltas has lanes for every row");

// The tiles of all heads, a block's one after the other; those with most work come first. f(image, head, first own position).
JL_HOST_DEVICE int64_t tiles_of(const jl_causal_attention& s) { return (s.positions + kOwn - 1) / kOwn; }
template <bool kLastHasMost, class F>
__device__ inline void for_tiles(const jl_causal_attention& s, F f) {
    const int64_t heads = s.batch * s.heads, tiles = tiles_of(s);
    for (int64_t i = blockIdx.x; i < heads * tiles; i += gridDim.x) {
        const int64_t head = i % heads, tile = kLastHasMost ? tiles - 1 - i / heads : i / heads;
        f(head / s.heads, head % s.heads, tile * kOwn);
        __syncthreads();  // before the next one's rows are loaded
    }
}

__device__ inline float warp_max(float v) {
    for (int offset = kWarp / 2; offset > 0; offset /= 2) {
        const float other = __shfl_xor_sync(0xffffffffu, v, offset);
        v = other > v ? other : v;
    }
    return v;
}

__global__ void __launch_bounds__(kThreads)
    forward_kernel(jl_causal_attention s, const float* qkv, float* out, float* log_sums) {
    JL_DYNAMIC_SHARED(float, memory);
    const Tiles t(memory, s.dims, 1);
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    const float scale = attention_scale(s.dims);
    for_tiles<true>(s, [&](int64_t image, int64_t head, int64_t first) {
        const HeadParts<const float> in(s, qkv, image, head);
        float most[kRows], sum[kRows], o[kRows][kChunks] = {};  // sum: the lane's part
        JL_UNROLL
        for (int r = 0; r < kRows; ++r) most[r] = -INFINITY, sum[r] = 0.0f;
        t.load_own(0, in.q, in.stride, first, s.positions);
        for (int64_t key = 0; key < first + kOwn && key < s.positions; key += kWarp) {
            const auto sees = [=](int row, int other) { return key + other <= first + row; };
            t.load_other(in.k, in.stride, key, s.positions);
            float p[kRows];
            t.scores(0, p);
            JL_UNROLL
            for (int r = 0; r < kRows; ++r) {
                p[r] = sees(warp * kRows + r, lane) ? scale * p[r] : -INFINITY;
                const float largest = warp_max(p[r]), more = largest > most[r] ? largest : most[r];
                const float shift = more == -INFINITY ? 0.0f : more;  // nothing but -infinity so far: no NaN
                const float shrink = fast_exp(most[r] - shift);
                most[r] = more;
                p[r] = fast_exp(p[r] - shift);
                sum[r] = sum[r] * shrink + p[r];
                JL_UNROLL
                for (int c = 0; c < kChunks; ++c) o[r][c] *= shrink;
            }
            t.put(p);
            t.load_other(in.v, in.stride, key, s.positions);
            if (key + kWarp - 1 > first)
                t.add<true>(sees, o);
            else
                t.add<false>(sees, o);
        }
        float by[kRows];
        JL_UNROLL
        for (int r = 0; r < kRows; ++r) {
            sum[r] = warp_sum(sum[r]);
            by[r] = 1.0f / sum[r];
            const int64_t row = first + warp * kRows + r;
            if (log_sums != nullptr && lane == 0 && row < s.positions)
                log_sums[(image * s.heads + head) * s.positions + row] = most[r] + logf(sum[r]);
        }
        t.write(o, by, head_outputs(s, out, image, head), s.heads * s.dims, first, s.positions);
    });
}

// Own positions are queries.
__global__ void __launch_bounds__(kThreads)
    backward_queries_kernel(jl_causal_attention s, const float* qkv, const float* out, const float* log_sums,
                            const float* d_out, float* d_qkv) {
    JL_DYNAMIC_SHARED(float, memory);
    const Tiles t(memory, s.dims, 2);
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    const float scale = attention_scale(s.dims);
    const int64_t out_stride = s.heads * s.dims;
    for_tiles<true>(s, [&](int64_t image, int64_t head, int64_t first) {
        const HeadParts<const float> in(s, qkv, image, head);
        const float* log_sum = log_sums + (image * s.heads + head) * s.positions + first;
        t.load_own(0, in.q, in.stride, first, s.positions);
        t.load_own(1, head_outputs(s, d_out, image, head), out_stride, first, s.positions);
        __syncthreads();
        t.put_deltas(t.own[1], t.pitch, head_outputs(s, out, image, head), out_stride, first,
                     first + kOwn < s.positions ? first + kOwn : s.positions);
        float d_q[kRows][kChunks] = {};
        for (int64_t key = 0; key < first + kOwn && key < s.positions; key += kWarp) {
            const auto sees = [=](int row, int other) { return key + other <= first + row; };
            float product[kRows], p[kRows];
            t.load_other(in.v, in.stride, key, s.positions);
            t.scores(1, product);
            t.load_other(in.k, in.stride, key, s.positions);
            t.scores(0, p);
            JL_UNROLL
            for (int r = 0; r < kRows; ++r) {
                const int row = warp * kRows + r;
                const bool seen = first + row < s.positions && sees(row, lane);
                p[r] = seen ? fast_exp(scale * p[r] - log_sum[row]) * (product[r] - t.deltas[row]) * scale
                            : 0.0f;
            }
            t.put(p);
            if (key + kWarp - 1 > first)
                t.add<true>(sees, d_q);
            else
                t.add<false>(sees, d_q);
        }
        const HeadParts<float> d(s, d_qkv, image, head);
        t.write(d_q, {1.0f, 1.0f, 1.0f, 1.0f}, d.q, d.stride, first, s.positions);
    });
}

// Own positions are keys, with their values.
__global__ void __launch_bounds__(kThreads)
    backward_keys_kernel(jl_causal_attention s, const float* qkv, const float* out, const float* log_sums,
                         const float* d_out, float* d_qkv) {
    JL_DYNAMIC_SHARED(float, memory);
    const Tiles t(memory, s.dims, 2);
    const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
    const float scale = attention_scale(s.dims);
    const int64_t out_stride = s.heads * s.dims;
    for_tiles<false>(s, [&](int64_t image, int64_t head, int64_t first) {
        const HeadParts<const float> in(s, qkv, image, head);
        const float *gradients = head_outputs(s, d_out, image, head),
                    *log_sum = log_sums + (image * s.heads + head) * s.positions;
        t.load_own(0, in.k, in.stride, first, s.positions);
        t.load_own(1, in.v, in.stride, first, s.positions);
        float d_k[kRows][kChunks] = {}, d_v[kRows][kChunks] = {};
        for (int64_t query = first; query < s.positions; query += kWarp) {
            const bool live = query + lane < s.positions, masked = query < first + kOwn;
            const auto sees = [=](int row, int other) { return query + other >= first + row; };
            float p[kRows], d_s[kRows];
            t.load_other(in.q, in.stride, query, s.positions);
            t.scores(0, p);
            t.load_other(gradients, out_stride, query, s.positions);
            t.put_deltas(t.other, t.pitch + 1, head_outputs(s, out, image, head), out_stride, query,
                         s.positions);
            t.scores(1, d_s);
            __syncthreads();
            const float log_of_sum = live ? log_sum[query + lane] : 0.0f;
            JL_UNROLL
            for (int r = 0; r < kRows; ++r) {
                const bool seen = live && sees(warp * kRows + r, lane);
                p[r] = seen ? fast_exp(scale * p[r] - log_of_sum) : 0.0f;
                d_s[r] = seen ? p[r] * (d_s[r] - t.deltas[lane]) * scale : 0.0f;
            }
            t.put(p);
            if (masked)
                t.add<true>(sees, d_v);
            else
                t.add<false>(sees, d_v);
            t.load_other(in.q, in.stride, query, s.positions);
            t.put(d_s);
            if (masked)
                t.add<true>(sees, d_k);
            else
                t.add<false>(sees, d_k);
        }
        const HeadParts<float> d(s, d_qkv, image, head);
        t.write(d_k, {1.0f, 1.0f, 1.0f, 1.0f}, d.k, d.stride, first, s.positions);
        t.write(d_v, {1.0f, 1.0f, 1.0f, 1.0f}, d.v, d.stride, first, s.positions);
    });
}

unsigned grid(const jl_causal_attention& s) { return fixed_grid(s.batch * s.heads * tiles_of(s), 16); }

}  // namespace

jl_status causal_attention_forward(const jl_causal_attention* shape, const float* qkv, float* out,
                                   float* log_sums, jl_stream stream) {
    if (const jl_status status = check_causal_attention_forward(shape, qkv, out)) return status;
    const jl_causal_attention s = *shape;
    if (s.batch == 0 || s.positions == 0) return JL_OK;
    return launch("causal_attention_forward", grid(s), kThreads, Tiles::bytes(s.dims, 1), stream,
                  forward_kernel, s, qkv, out, log_sums);
}

jl_status causal_attention_backward(const jl_causal_attention* shape, const float* qkv, const float* out,
                                    const float* log_sums, const float* d_out, float* d_qkv,
                                    jl_stream stream) {
    if (const jl_status status = check_causal_attention_backward(shape, qkv, out, log_sums, d_out, d_qkv))
        return status;
    const jl_causal_attention s = *shape;
    if (s.batch == 0 || s.positions == 0) return JL_OK;
    const size_t bytes = Tiles::bytes(s.dims, 2);
    if (const jl_status status = launch("causal_attention_backward (queries)", grid(s), kThreads, bytes,
                                        stream, backward_queries_kernel, s, qkv, out, log_sums, d_out, d_qkv))
        return status;
    return launch("causal_attention_backward (keys)", grid(s), kThreads, bytes, stream, backward_keys_kernel,
                  s, qkv, out, log_sums, d_out, d_qkv);
}

}  // namespace jlatent::JL_TABLE

// causal_attention: every position attends to itself and to those before it, forward and backward
// [Vaswani et al. 2017, Attention Is All You Need, eq. 1, masked; Chen et al. 2018, PixelSNAIL, for pixels in raster order]
//
// Of each image and head, with position i's query q_i, key k_i and value v_i of d numbers:
//   s_ij  = q_i k_j / sqrt(d)                                      for j <= i
//   L_i   = log sum over j <= i of e^s_ij
//   out_i = sum over j <= i of p_ij v_j,   p_ij = e^(s_ij - L_i)
//
// forward         qkv [batch, positions, 3, heads, dims]: a position's queries of all heads, then keys, then values, as one 1x1
//                 convolution makes them. out [batch, positions, heads, dims]. log_sums, the L that backward wants,
//                 [batch, heads, positions], or null where no gradient follows. s, n x n numbers, is never stored: a block of
//                 keys at a time goes into running sums, scaled anew where it brings a larger s
//                 [Milakov & Gimelshein 2018, Online normalizer calculation for softmax]
// backward        from d_out, with p computed again from L, and D_i = d_out_i out_i:
//                 d_v_j = sum over i >= j of p_ij d_out_i
//                 d_s_ij = p_ij (d_out_i v_j - D_i)                [Dao et al. 2022, FlashAttention, appendix B.4]
//                 d_q_i = sum over j <= i of d_s_ij k_j / sqrt(d),   d_k_j = sum over i >= j of d_s_ij q_i / sqrt(d)
//                 into d_qkv [batch, positions, 3, heads, dims]
//
// overwritten     out, log_sums, d_qkv; none may overlap another array
// never seen      what comes after a position, not even multiplied with 0: NaN there changes nothing. Nor do d_k_j and d_v_j
//                 see queries and d_out before j
// infinities      as in softmax.h: large finite s do not overflow; of s = -inf p is 0; of +inf, NaN, or nothing but -inf, the
//                 position's out is NaN
// precision       f32
// deterministic   yes: sums in an order that depends on the shape alone
// FLOPs, bytes    n = positions. Forward 2 batch heads n^2 dims: two products, of which half is seen; backward 7 of them, as s
//                 and d_out v are computed for d_q and again for d_k and d_v, which so need no sums across blocks: 7 batch
//                 heads n^2 dims. qkv and out once from memory, keys and values once more for every tile of queries from the
//                 caches
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kMostHeadDims =
    128;  // a tile of keys has its place in shared memory, and on a thread's stack

JL_HOST_DEVICE float attention_scale(int64_t dims) { return 1.0f / sqrtf(static_cast<float>(dims)); }

// A head's part of qkv, or of its gradient: position i's numbers lie `stride` after those of the one before.
template <class T>
struct HeadParts {
    T *q, *k, *v;
    int64_t stride;

    JL_HOST_DEVICE HeadParts(const jl_causal_attention& s, T* qkv, int64_t image, int64_t head)
        : q(qkv + (image * s.positions * 3 * s.heads + head) * s.dims),
          k(q + s.heads * s.dims),
          v(k + s.heads * s.dims),
          stride(3 * s.heads * s.dims) {}
};

// The same of out or d_out.
template <class T>
JL_HOST_DEVICE T* head_outputs(const jl_causal_attention& s, T* out, int64_t image, int64_t head) {
    return out + (image * s.positions * s.heads + head) * s.dims;
}

// What every table refuses.
inline jl_status check_causal_attention(const char* operation, const jl_causal_attention* shape) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_causal_attention& s = *shape;
    const auto number = [](int64_t value) { return static_cast<long long>(value); };
    JL_REQUIRE(s.batch >= 0 && s.positions >= 0 && s.heads >= 1,
               "%s: batch and positions >= 0 and heads >= 1 are needed, got %lld, %lld and %lld", operation,
               number(s.batch), number(s.positions), number(s.heads));
    JL_REQUIRE(s.dims >= 1 && s.dims <= kMostHeadDims,
               "%s: a head must have from 1 to %lld dims, got %lld; several heads have more together",
               operation, number(kMostHeadDims), number(s.dims));
    JL_REQUIRE(fits({s.batch, s.positions, 3, s.heads, s.dims}),
               "%s: at most 2^38 elements are possible, got %lld x %lld x 3 x %lld x %lld", operation,
               number(s.batch), number(s.positions), number(s.heads), number(s.dims));
    return JL_OK;
}

inline jl_status check_causal_attention_forward(const jl_causal_attention* shape, const float* qkv,
                                                const float* out) {
    if (const jl_status status = check_causal_attention("causal_attention_forward", shape)) return status;
    JL_REQUIRE(shape->batch == 0 || shape->positions == 0 || (qkv != nullptr && out != nullptr),
               "causal_attention_forward: qkv and out must not be null");
    return JL_OK;
}

inline jl_status check_causal_attention_backward(const jl_causal_attention* shape, const float* qkv,
                                                 const float* out, const float* log_sums, const float* d_out,
                                                 const float* d_qkv) {
    if (const jl_status status = check_causal_attention("causal_attention_backward", shape)) return status;
    JL_REQUIRE(
        shape->batch == 0 || shape->positions == 0 ||
            (qkv != nullptr && out != nullptr && log_sums != nullptr && d_out != nullptr && d_qkv != nullptr),
        "causal_attention_backward: an array is null");
    return JL_OK;
}

jl_status causal_attention_forward(const jl_causal_attention* shape, const float* qkv, float* out,
                                   float* log_sums, jl_stream stream);
jl_status causal_attention_backward(const jl_causal_attention* shape, const float* qkv, const float* out,
                                    const float* log_sums, const float* d_out, float* d_qkv,
                                    jl_stream stream);

}  // namespace jlatent::JL_TABLE

// vector_quantize: the nearest code of every row, and all that follows from it; never an N x K matrix
// [van den Oord, Vinyals, Kavukcuoglu 2017, eq. 1 to 3]
//
// Forward, over the rows n that count (row_mask[n] != 0; V of them):
//   codes[n]      = the lowest k that minimises |x[n,:] - e[k,:]|^2 over the real numbers, on the values as stored
//   q[n,:]        = e[codes[n],:]
//   row_errors[n] = |x[n,:] - q[n,:]|^2
//   codebook_loss =      1 / (V D) sum_n row_errors[n]
//   commitment    = beta / (V D) sum_n row_errors[n]       beta = *beta, or 1 where null
//   histogram[k]  = rows with code k     valid = V
// A row that does not count has code -1, q and row_errors 0; its values are not looked at.
//
// Backward: straight-through for x; beta multiplies the commitment side only.
//   d_x[n,:]        = d_q[n,:] + 2 beta *d_commitment / (V D) (x[n,:] - q[n,:])     0 where the code is -1
//   d_codebook[k,:] = 2 *d_codebook_loss / (V D) sum over codes[n] = k of (e[k,:] - x[n,:])
//
// EMA, the codebook's other way to learn; step t = ++state->step:
//   counts[k] = decay counts[k] + (1 - decay) n_k        n_k: rows with code k
//   sums[k,:] = decay sums[k,:] + (1 - decay) sum over codes[n] = k of x[n,:]
//   e[k,:]    = sums[k,:] / size[k],  size[k] = (counts[k] + b epsilon) / (sum counts + K b epsilon) sum counts
// with b = 1 - decay^t, which debiases both averages. A code without a row so far (counts[k] = 0) keeps its entry.
//
// Usage: seen[k] += histogram[k] (at most 2^31 - 1); statistics = perplexity of histogram, perplexity of seen, the
// part of the codes with seen[k] > 0. Perplexity: exp(-sum p log p); 0 where there are no rows.
//
// x, q, d_q, d_x [rows, dims]   codebook, sums, d_codebook [codes, dims]   codes i32 [rows]   row_mask f32 [rows], or
// null: all rows count   row_errors [rows]   histogram, seen i32 [codes]   counts [codes]   valid, invalid i32 [1]
// codebook_loss, commitment, d_codebook_loss, d_commitment [1]   statistics [3]
//
// overwritten     every output that is not null; none may overlap another array. Of forward's outputs only codes may
//                 not be null, of backward's either may be. A gradient that is null is taken as 0.
// not finite      The CPU refuses a row or code that is not finite with JL_BAD_ARGUMENT, which names the first; the
//                 outputs are then without meaning. CUDA cannot know without waiting: such a row has code -1, q and
//                 row_errors NaN, and *invalid (or null) grows by one for each; with a bad code every row is so.
// exact           A pass in f32 with a rigorous bound of its error settles most rows; fp64 with its own bound decides
//                 the others, and integers what fp64 leaves open: nearest.h. So all tables give the same codes.
// deterministic   yes: sums in a fixed order (code_sums.h)
// workspace       vector_quantize_workspace(shape) bytes for each launcher; O(rows + codes dims)
// work            forward 2 rows codes dims FLOP
#pragma once
#include "code_sums.h"
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

size_t vector_quantize_workspace(const jl_vector_quantize* shape);

// What every table refuses.
inline jl_status check_vector_quantize(const char* operation, const jl_vector_quantize* s, const void* x,
                                       const void* codebook, const void* codes, jl_workspace workspace) {
    constexpr int64_t kMost = (int64_t{1} << 31) - 2;  // positions and codes are i32
    JL_REQUIRE(s != nullptr, "%s: shape is null", operation);
    JL_REQUIRE(s->rows >= 0 && s->rows <= kMost && s->codes >= 1 && s->codes <= kMost && s->dims >= 1 &&
                   s->dims <= kMostCodeDims,
               "%s: rows must be in [0, 2^31 - 2], codes in [1, 2^31 - 2], dims in [1, 2^20], got %lld, %lld "
               "and %lld",
               operation, static_cast<long long>(s->rows), static_cast<long long>(s->codes),
               static_cast<long long>(s->dims));
    JL_REQUIRE(fits({s->rows, s->dims}) && fits({s->codes, s->dims}),
               "%s: arrays have at most 2^38 elements, got %lld rows, %lld codes and %lld dims", operation,
               static_cast<long long>(s->rows), static_cast<long long>(s->codes),
               static_cast<long long>(s->dims));
    JL_REQUIRE(codebook != nullptr, "%s: the codebook is null", operation);
    JL_REQUIRE(s->rows == 0 || (x != nullptr && codes != nullptr), "%s: x and codes must not be null",
               operation);
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= vector_quantize_workspace(s),
               "%s: the workspace has %zu bytes, %zu are needed", operation, workspace.bytes,
               vector_quantize_workspace(s));
    return JL_OK;
}

inline jl_status check_vector_quantize_usage(int64_t codes, const void* histogram, const void* seen,
                                             const void* statistics) {
    JL_REQUIRE(codes >= 1, "vector_quantize_usage: codes must be at least 1, got %lld",
               static_cast<long long>(codes));
    JL_REQUIRE(histogram != nullptr && seen != nullptr && statistics != nullptr,
               "vector_quantize_usage: an array is null");
    return JL_OK;
}

// 2 weight / (V D): what gradients of a mean of squares are multiplied with.
JL_HOST_DEVICE float mean_square_scale(float weight, int32_t valid, int64_t dims) {
    return valid == 0 ? 0.0f
                      : static_cast<float>(2.0 * static_cast<double>(weight) /
                                           (static_cast<double>(valid) * static_cast<double>(dims)));
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const float* x, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, float* q,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t* invalid,
                                  jl_workspace workspace, jl_stream stream);
jl_status vector_quantize_backward(const jl_vector_quantize* shape, const float* x, const float* codebook,
                                   const int32_t* codes, const int32_t* valid, const float* beta,
                                   const float* d_q, const float* d_codebook_loss, const float* d_commitment,
                                   float* d_x, float* d_codebook, jl_workspace workspace, jl_stream stream);
jl_status vector_quantize_ema(const jl_vector_quantize* shape, const float* x, const int32_t* codes,
                              jl_vector_quantize_ema* state, float* counts, float* sums, float* codebook,
                              jl_workspace workspace, jl_stream stream);
jl_status vector_quantize_usage(int64_t codes, const int32_t* histogram, int32_t* seen, float* statistics,
                                jl_stream stream);

}  // namespace jlatent::JL_TABLE

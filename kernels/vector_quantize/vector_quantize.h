// vector_quantize: the nearest code of every row, and all that follows from it; never an N x K matrix
// [van den Oord, Vinyals, Kavukcuoglu 2017, eq. 1 to 3]
//
// A row has H heads of D values. Each head has S codebooks, its stages: a stage quantizes what those before it left over
// [Zeghidour et al. 2021, alg. 1; Lee et al. 2022, eq. 4]. H = S = 1 is the plain form. With k(n,h,s) = codes[n,h,s]:
//
// Forward, over the rows n that count (row_mask[n] != 0; V of them), with the residuals r_0 = x[n,h,:] and
// r_s+1 = r_s - e[h,s,k(n,h,s),:], each subtraction rounded to f32:
//   codes[n,h,s]     = the lowest k that minimises |r_s - e[h,s,k,:]|^2 over the real numbers, on the values as stored
//   q[n,h,:]         = sum_s e[h,s,k(n,h,s),:]    added in f32 from stage 0 on, then rounded to x's type
//   row_errors[n]    = sum_h sum_s=1..S |r_s|^2   one stage: |x[n,:] - q[n,:]|^2
//   codebook_loss    =    1 / (V H D) sum_n row_errors[n]
//   commitment       = beta / (V H D) sum_n row_errors[n]     beta = *beta, or 1 where null: every stage commits
//   histogram[h,s,k] = rows with code k     valid = V
// A row that does not count has codes -1, q and row_errors 0; its values are not looked at.
//
// Backward; beta multiplies the commitment side only, and to a stage the entries before it are constants:
//   d_x[n,h,:]          = T + 2 beta *d_commitment / (V H D) sum_s=1..S r_s              0 where the codes are -1
//   d_codebook[h,s,k,:] = -2 *d_codebook_loss / (V H D) sum over k(n,h,s) = k of r_s+1
// T = d_q[n,h,:], straight through; or with `rotate` the gradient through the rotation and scaling that takes x to q
// [Fifty et al. 2024, sec. 4.2], with x^ = x / |x|, q^ = q / |q|, u = (x^ + q^) / |x^ + q^| of a head, q before it is rounded:
//   T = |q| / |x| (d_q - 2 u <u, d_q> + 2 x^ <q^, d_q>)
// and d_q where that has no meaning: where x or q is 0, or x^ = -q^ (|x^ + q^| <= 1e-12).
//
// EMA, the codebook's other way to learn, for every book (h,s) by itself; step t = ++state->step:
//   counts[h,s,k] = decay counts[h,s,k] + (1 - decay) n_k        n_k: rows with code k
//   sums[h,s,k,:] = decay sums[h,s,k,:] + (1 - decay) sum over k(n,h,s) = k of r_s
//   e[h,s,k,:]    = sums[h,s,k,:] / size[k],  size[k] = (counts[k] + b epsilon) / (C + K b epsilon) C,  C = sum_k counts[k]
// with b = 1 - decay^t, which debiases both averages. A code without a row so far (counts[k] = 0) keeps its entry. r_s is
// that of the codebooks before this step. Without `sums` the codebook learns by gradient: only counts are kept.
// Then, where state->revive > 0, entries with counts[k] < revive C / K are dead: M of them, in ascending order. P = min(M, V)
// of them begin anew at rows of this batch, each at another: pair j < P is the dead entry floor((j + U) M / P) and
// the row at position floor((j + U) V / P) of those sorted by code, so that much-used codes are divided in proportion to their use. U in
// [0, 1) is random for (seed, step, site, book h S + s), or 1/2 where random is null; all in integers, alike on every table.
//   e[h,s,k,:] = r_s of that row     counts[h,s,k] = C / K     sums[h,s,k,:] = C / K e[h,s,k,:]
// which is a fresh start for the averages. state->revived grows by P for every book.
//
// Usage: seen[k] += histogram[k] (at most 2^31 - 1); statistics = perplexity of histogram, perplexity of seen, the
// part of the codes with seen[k] > 0; for every book. Perplexity: exp(-sum p log p); 0 where there are no rows.
//
// Histogram, for codes made elsewhere, codes [rows, books]: histogram[b,k] = rows with code k in book b; -1 does not count.
// The CPU refuses other codes outside [0, K) with JL_BAD_ARGUMENT, which names one; CUDA leaves them out.
//
// x, q, d_q, d_x `type` [rows, heads, dims]   codes i32 [rows, heads, stages]   row_mask f32 [rows], or null: all rows
// count   row_errors [rows]   codebook, sums, d_codebook [heads, stages, codes, dims]   histogram, seen i32 [heads,
// stages, codes]   counts [heads, stages, codes]   valid, invalid i32 [1]   codebook_loss, commitment,
// d_codebook_loss, d_commitment [1]   statistics [books, 3]
//
// overwritten     every output that is not null; none may overlap another array. Of forward's outputs only codes may
//                 not be null, of backward's either may be. A gradient that is null is taken as 0.
// not finite      A row is not finite where x is not, or a residual that a stage is to quantize. The CPU refuses such a
//                 row, or code, with JL_BAD_ARGUMENT, which names one; the outputs are then without meaning. CUDA
//                 cannot know without waiting: such a row has codes -1 in all heads and stages, q and row_errors NaN, and
//                 *invalid (or null) grows by one for each; with a bad code in any book every row is so.
// exact           A pass in f32 with a rigorous bound of its error settles most rows (on processors with AMX one in bf16
//                 before it: nearest_amx.h; on CUDA one in fp16 in its place: nearest_cuda.h); fp64 with its own bound
//                 decides the others, and integers what fp64 leaves open: nearest.h. So all tables give the same codes.
// deterministic   yes: sums in a fixed order (code_sums.h)
// workspace       vector_quantize_workspace(shape) bytes for each launcher; O(rows + heads stages codes dims)
// work            forward 2 rows heads stages codes dims FLOP
// bytes           of device memory, f32: forward 8 rows heads dims, for x and q; d_x 12 rows heads dims; d_codebook and
//                 ema 4 rows heads dims a stage. Forward on CUDA reads the codebooks, 2 heads stages codes dims in fp16,
//                 once for every 128 rows, from the second-level cache. Not timed on a GPU yet.
#pragma once
#include "code_sums.h"
#include "host_device.h"
#include "jlatent.h"
#include "philox.h"
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
    JL_REQUIRE(s->heads >= 1 && s->heads <= 1024 && s->stages >= 1 && s->stages <= 1024,
               "%s: heads and stages must be in [1, 1024], got %lld and %lld", operation,
               static_cast<long long>(s->heads), static_cast<long long>(s->stages));
    JL_REQUIRE(fits({s->rows, s->heads, s->dims}) && fits({s->rows, s->heads, s->stages}) &&
                   fits({s->heads, s->stages, s->codes, s->dims}),
               "%s: arrays have at most 2^38 elements, got %lld rows, %lld heads, %lld stages, %lld codes "
               "and %lld dims",
               operation, static_cast<long long>(s->rows), static_cast<long long>(s->heads),
               static_cast<long long>(s->stages), static_cast<long long>(s->codes),
               static_cast<long long>(s->dims));
    JL_REQUIRE(s->type == JL_F32 || s->type == JL_BF16, "%s: type must be JL_F32 or JL_BF16, got %d",
               operation, s->type);
    JL_REQUIRE(s->rotate == 0 || s->rotate == 1, "%s: rotate must be 0 or 1, got %d", operation, s->rotate);
    JL_REQUIRE(codebook != nullptr, "%s: the codebook is null", operation);
    JL_REQUIRE(s->rows == 0 || (x != nullptr && codes != nullptr), "%s: x and codes must not be null",
               operation);
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= vector_quantize_workspace(s),
               "%s: the workspace has %zu bytes, %zu are needed", operation, workspace.bytes,
               vector_quantize_workspace(s));
    return JL_OK;
}

inline jl_status check_vector_quantize_usage(int64_t books, int64_t codes, const void* histogram,
                                             const void* seen, const void* statistics) {
    JL_REQUIRE(books >= 0 && codes >= 1 && fits({books, codes}),
               "vector_quantize_usage: books must be at least 0, codes at least 1 and both together at most "
               "2^38, got %lld and %lld",
               static_cast<long long>(books), static_cast<long long>(codes));
    JL_REQUIRE(histogram != nullptr && seen != nullptr && statistics != nullptr,
               "vector_quantize_usage: an array is null");
    return JL_OK;
}

inline jl_status check_vector_quantize_histogram(int64_t rows, int64_t books, int64_t codes,
                                                 const void* given, const void* histogram) {
    JL_REQUIRE(
        rows >= 0 && rows < (int64_t{1} << 31) && books >= 0 && codes >= 1 && fits({rows, books}) &&
            fits({books, codes}),
        "vector_quantize_histogram: rows must be in [0, 2^31), books at least 0, codes at least 1 and arrays "
        "at most 2^38 elements, got %lld, %lld and %lld",
        static_cast<long long>(rows), static_cast<long long>(books), static_cast<long long>(codes));
    JL_REQUIRE(books == 0 || ((rows == 0 || given != nullptr) && histogram != nullptr),
               "vector_quantize_histogram: an array is null");
    return JL_OK;
}

// 2 weight / (V H D), with row_dims = H D: what gradients of a mean of squares are multiplied with.
JL_HOST_DEVICE float mean_square_scale(float weight, int32_t valid, int64_t row_dims) {
    return valid == 0 ? 0.0f
                      : static_cast<float>(2.0 * static_cast<double>(weight) /
                                           (static_cast<double>(valid) * static_cast<double>(row_dims)));
}

// The same on every table: products of f32 are exact in fp64, so that contraction changes nothing.
JL_HOST_DEVICE float decayed_count(float decay, float count, int32_t rows) {
    return static_cast<float>(static_cast<double>(decay) * static_cast<double>(count) +
                              static_cast<double>(1.0f - decay) * static_cast<double>(rows));
}

// Below this an entry is dead; `total` = C.
JL_HOST_DEVICE float least_count(float revive, double total, int64_t codes) {
    return static_cast<float>(static_cast<double>(revive) * (total / static_cast<double>(codes)));
}

// U 2^32, for one book.
JL_HOST_DEVICE uint32_t revival_bits(const jl_random* random, uint32_t site, int64_t book) {
    return random == nullptr
               ? 0x80000000u
               : philox(static_cast<uint32_t>(book), 0, random->step, site, philox_key(*random)).w[0];
}

// floor((j + U) count / pairs) for j < pairs <= count < 2^31, U = bits / 2^32.
JL_HOST_DEVICE int64_t revival_position(int64_t j, uint32_t bits, int64_t count, int64_t pairs) {
    const uint64_t p = static_cast<uint64_t>(pairs), c = static_cast<uint64_t>(count),
                   whole = static_cast<uint64_t>(j) * c;
    return static_cast<int64_t>(whole / p + (((whole % p) << 32) + bits * c) / (p << 32));
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, void* q,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t* invalid,
                                  jl_workspace workspace, jl_stream stream);
jl_status vector_quantize_backward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                   const int32_t* codes, const int32_t* valid, const float* beta,
                                   const void* d_q, const float* d_codebook_loss, const float* d_commitment,
                                   void* d_x, float* d_codebook, jl_workspace workspace, jl_stream stream);
jl_status vector_quantize_ema(const jl_vector_quantize* shape, const void* x, const int32_t* codes,
                              jl_vector_quantize_ema* state, const jl_random* random, uint32_t site,
                              float* counts, float* sums, float* codebook, jl_workspace workspace,
                              jl_stream stream);
jl_status vector_quantize_usage(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                float* statistics, jl_stream stream);
jl_status vector_quantize_histogram(int64_t rows, int64_t books, int64_t codes, const int32_t* given,
                                    int32_t* histogram, jl_stream stream);

}  // namespace jlatent::JL_TABLE

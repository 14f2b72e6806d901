// lookup_free_quantize: the sign of every value is a bit of the row's code; an entropy penalty keeps the codes in use
// [Yu et al. 2023, "Language Model Beats Diffusion", sec. 3.1]
//
// N = rows, D = dims, T = temperature; the codebook is {-1, 1}^D.
// forward    q[n,d]     = 1 where x[n,d] > 0, else -1          codes[n] = sum_d 2^d [x[n,d] > 0]
//            commitment = beta / (N D) sum (x - q)^2           beta = *beta, or 1 where null
//            penalty    = entropies[0] - gamma entropies[1]    gamma = *gamma, or 1 where null; in nats
// A row is softly assigned to the codes c by p(c | x) = softmax_c(-|x - c|^2 / T). That is a product over the bits: bit d
// is 1 with probability p[n,d] = sigmoid(4 x[n,d] / T). So, with h(p) = -p log p - (1 - p) log(1 - p):
//            entropies[0] = 1/N sum_n sum_d h(p[n,d])          the mean entropy of p(c | x), exactly
//            entropies[1] = sum_d h(m[d]), m[d] = 1/N sum_n p[n,d]
// The paper has the entropy of the mean of p(c | x) over 2^D codes there. The sum over the bits is its upper bound: it is
// largest when each bit is 1 half of the time, and does not see whether bits go together.
//            bit_log_odds[d] = log(m[d] / (1 - m[d])), or 0 where a probability is 0 in f32; backward needs it
// backward   straight through the sign; q is a constant in the commitment
//   d_x = d_q + 2 beta *d_commitment / (N D) (x - q)
//       + *d_penalty 4 / (T N) p (1 - p) (gamma bit_log_odds - 4 x / T)
// decode     q[n,d] = 1 where bit d of codes[n] is 1, else -1
//
// x, q, d_q, d_x [rows, dims] contiguous f32, any alignment; codes [rows] i32; entropies [2]; bit_log_odds [dims];
// commitment, penalty, beta, gamma, d_commitment, d_penalty [1]; no overlap, but d_x may be d_q
// overwritten     all outputs, of which none may be null. A gradient that is null is taken as 0. Without rows all losses
//                 are 0.
// not finite      The CPU refuses such a row in forward with JL_BAD_ARGUMENT, which names it; the outputs are then
//                 without meaning. CUDA cannot know without waiting: the row's code is -1, its q and the commitment NaN.
// out of range    The CPU refuses such a code in decode with JL_BAD_ARGUMENT, which names it, and writes nothing. On
//                 CUDA its q is NaN.
// deterministic   yes: sums in a fixed order; codes and q are the same on every table
// workspace       forward: lookup_free_quantize_workspace(shape) bytes
// bytes           8 rows dims + 4 rows, backward 12 rows dims; an exponential a value, and a logarithm in forward
#pragma once
#include "math.h"
#include "scalar_codes.h"

namespace jlatent::JL_TABLE {

// From the logit a = 4 x / T: p, 1 - p, and h(p).
struct SoftBit {
    float one, zero, entropy;
};

// Beyond 128 e^-|a| is 0 in f32, and infinity times it would not be.
JL_HOST_DEVICE float bounded_logit(float a) { return a > 128.0f ? 128.0f : a < -128.0f ? -128.0f : a; }

JL_HOST_DEVICE SoftBit soft_bit(float a) {
    const float size = fabsf(bounded_logit(a)), e = fast_exp(-size), u = 1.0f + e;
    // log1p(e): Kahan's correction restores what 1 + e rounds away.
    const float log1p = u == 1.0f ? e : fast_log(u) * (e / (u - 1.0f));
    const float likely = 1.0f / u, other = e / u;
    return {a > 0.0f ? likely : other, a > 0.0f ? other : likely, log1p + size * other};
}

// p (1 - p) (gamma bit_log_odds - a)
JL_HOST_DEVICE float penalty_slope(float a, float gamma_log_odds) {
    const float logit = bounded_logit(a), e = fast_exp(-fabsf(logit)), u = 1.0f + e;
    return e / (u * u) * (gamma_log_odds - logit);
}

// What a sum of p and a sum of 1 - p over rows say of a bit.
struct MeanBit {
    double entropy, log_odds;
};

JL_HOST_DEVICE MeanBit mean_bit(double one, double zero, int64_t rows) {
    const double p = one / static_cast<double>(rows), r = zero / static_cast<double>(rows);
    if (p == 0.0 || r == 0.0) return {0.0, 0.0};
    return {-p * log(p) - r * log(r), log(p / r)};
}

// What backward multiplies with: x, x - q, and the penalty's slope.
struct LookupFreeScales {
    float logit, error, penalty;
};

JL_HOST_DEVICE LookupFreeScales lookup_free_scales(const jl_lookup_free_quantize& s, const float* beta,
                                                   const float* d_commitment, const float* d_penalty) {
    const float logit = 4.0f / s.temperature, rows = static_cast<float>(s.rows);
    const float weight = d_commitment == nullptr ? 0.0f : *d_commitment * (beta == nullptr ? 1.0f : *beta);
    return {logit, 2.0f * weight / (rows * static_cast<float>(s.dims)),
            d_penalty == nullptr ? 0.0f : *d_penalty * logit / rows};
}

size_t lookup_free_quantize_workspace(const jl_lookup_free_quantize* shape);

// What every table refuses.
inline jl_status check_lookup_free_quantize(const char* operation, const jl_lookup_free_quantize* s) {
    JL_REQUIRE(s != nullptr, "%s: shape is null", operation);
    if (const jl_status status = check_scalar_rows(operation, s->rows, s->dims)) return status;
    JL_REQUIRE(s->temperature > 0.0f && std::isfinite(s->temperature) && std::isfinite(4.0f / s->temperature),
               "%s: the temperature must be positive and finite, at least 1.2e-38, got %g", operation,
               static_cast<double>(s->temperature));
    return JL_OK;
}

inline jl_status check_lookup_free_quantize_forward(const char* operation, const jl_lookup_free_quantize* s,
                                                    const void* x, const void* codes, const void* q,
                                                    const void* commitment, const void* penalty,
                                                    const void* entropies, const void* bit_log_odds,
                                                    jl_workspace workspace) {
    if (const jl_status status = check_lookup_free_quantize(operation, s)) return status;
    JL_REQUIRE(s->rows == 0 || (x != nullptr && codes != nullptr && q != nullptr),
               "%s: x, codes and q must not be null", operation);
    JL_REQUIRE(commitment != nullptr && penalty != nullptr && entropies != nullptr && bit_log_odds != nullptr,
               "%s: commitment, penalty, entropies and bit_log_odds must not be null", operation);
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= lookup_free_quantize_workspace(s),
               "%s: the workspace has %zu bytes, %zu are needed", operation, workspace.bytes,
               lookup_free_quantize_workspace(s));
    return JL_OK;
}

inline jl_status check_lookup_free_quantize_backward(const jl_lookup_free_quantize* s, const void* x,
                                                     const void* bit_log_odds, const void* d_x) {
    constexpr const char* kName = "lookup_free_quantize_backward";
    if (const jl_status status = check_lookup_free_quantize(kName, s)) return status;
    JL_REQUIRE(s->rows == 0 || (x != nullptr && bit_log_odds != nullptr && d_x != nullptr),
               "%s: x, bit_log_odds and d_x must not be null", kName);
    return JL_OK;
}

inline jl_status check_lookup_free_quantize_decode(const jl_lookup_free_quantize* s, const void* codes,
                                                   const void* q) {
    constexpr const char* kName = "lookup_free_quantize_decode";
    JL_REQUIRE(s != nullptr, "%s: shape is null", kName);
    if (const jl_status status = check_scalar_rows(kName, s->rows, s->dims)) return status;
    JL_REQUIRE(s->rows == 0 || (codes != nullptr && q != nullptr), "%s: codes and q must not be null", kName);
    return JL_OK;
}

jl_status lookup_free_quantize_forward(const jl_lookup_free_quantize* shape, const float* x,
                                       const float* beta, const float* gamma, int32_t* codes, float* q,
                                       float* commitment, float* penalty, float* entropies,
                                       float* bit_log_odds, jl_workspace workspace, jl_stream stream);
jl_status lookup_free_quantize_backward(const jl_lookup_free_quantize* shape, const float* x,
                                        const float* bit_log_odds, const float* beta, const float* gamma,
                                        const float* d_q, const float* d_commitment, const float* d_penalty,
                                        float* d_x, jl_stream stream);
jl_status lookup_free_quantize_decode(const jl_lookup_free_quantize* shape, const int32_t* codes, float* q,
                                      jl_stream stream);

}  // namespace jlatent::JL_TABLE

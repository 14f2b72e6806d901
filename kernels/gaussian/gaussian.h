// gaussian: reparameterized sample and KL divergence to N(0, I), in one pass
// [Kingma, Welling 2014, eq. 10, app. B]
//
// With s = clamp(log_var, log_var_min, log_var_max), sigma = exp(s / 2), eps ~ N(0, 1):
//   z[b,i,d]    = mu[b,d] + sigma[b,d] eps[b,i,d]                      i = 0 .. samples - 1
//   kl[b,d]     = 1/2 (mu^2 + sigma^2 - 1 - s)
//   kl_rows[b]  = sum_d kl[b,d]                                        nats
//   kl_total    = w sum_d max(rows free_bits, sum_b kl[b,d])           w = *kl_weight, or 1 where null
//   log_q[b,i]  = -1/2 sum_d (eps^2 + s + log 2 pi)
//   log_p[b,i]  = -1/2 sum_d (z^2 + log 2 pi)
// Free bits [Kingma et al. 2016, eq. 15]: kl_live[d] = 1 where the sum is above the floor, else 0: no gradient.
//
// Backward. With G[b,d]   = d_kl_rows[b] + w *d_kl_total kl_live[d]
//           and  D[b,i,d] = d_z[b,i,d] - d_log_p[b,i] z[b,i,d]:
//   d_mu[b,d]      = sum_i D + G mu
//   d_log_var[b,d] = 1/2 sigma sum_i D eps + 1/2 G (sigma^2 - 1) - 1/2 sum_i d_log_q[b,i]
//                    0 where log_var was clamped
//
// mu, log_var, d_mu, d_log_var   [rows, dims], rows row_stride apart: one matrix [rows, 2 dims] can hold both
// z, d_z, noise                  [rows, samples, dims]
// kl_rows [rows]   kl_total [1]   kl_live [dims]   log_q, log_p and their gradients [rows, samples]
//
// noise           explicit eps, or null: Philox, row b from block b ceil(dims/4) on, sample i its sample
// overwritten     every output that is not null; none may overlap another array. Every output may be null,
//                 and so may every gradient that is read (taken as 0). kl_live null in backward: all live.
// workspace       forward: gaussian_workspace(shape) bytes
// deterministic   yes: sums in a fixed order; noise equal to 1e-5 on all tables
// bytes           one sample: forward 12 rows dims, backward 20 rows dims
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "philox.h"
#include "status.h"

namespace jlatent::JL_TABLE {

constexpr float kHalfLog2Pi = 0.9189385332046727f;

// NaN stays NaN.
JL_HOST_DEVICE float clamp_log_var(float log_var, float min, float max) {
    return log_var < min ? min : log_var > max ? max : log_var;
}

// 2 kl[b,d]
JL_HOST_DEVICE float twice_kl(float mu, float log_var, float sigma) {
    return mu * mu + (sigma * sigma - 1.0f - log_var);
}

// d_log_var[b,d] from G, sigma, sum_i D eps and sum_i d_log_q.
JL_HOST_DEVICE float log_var_gradient(float g, float sigma, float d_eps, float d_log_q) {
    return 0.5f * (sigma * d_eps + g * (sigma * sigma - 1.0f) - d_log_q);
}

size_t gaussian_workspace(const jl_gaussian* shape);

// What every table refuses.
inline jl_status check_gaussian(const char* operation, const jl_gaussian* shape, const float* mu,
                                const float* log_var, const float* noise, const jl_random* random) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_gaussian& s = *shape;
    JL_REQUIRE(s.rows >= 0 && s.dims >= 1 && s.samples >= 1,
               "%s: rows >= 0, dims >= 1 and samples >= 1 are needed, got %lld, %lld and %lld", operation,
               static_cast<long long>(s.rows), static_cast<long long>(s.dims),
               static_cast<long long>(s.samples));
    JL_REQUIRE(s.row_stride >= s.dims, "%s: row_stride %lld is smaller than dims %lld", operation,
               static_cast<long long>(s.row_stride), static_cast<long long>(s.dims));
    JL_REQUIRE(
        fits({s.rows, s.row_stride}) && fits({s.rows, s.samples, s.dims}),
        "%s: at most 2^38 elements are possible, got %lld rows, row_stride %lld, %lld samples of %lld dims",
        operation, static_cast<long long>(s.rows), static_cast<long long>(s.row_stride),
        static_cast<long long>(s.samples), static_cast<long long>(s.dims));
    JL_REQUIRE(s.log_var_min <= s.log_var_max, "%s: log_var_min %g is above log_var_max %g", operation,
               static_cast<double>(s.log_var_min), static_cast<double>(s.log_var_max));
    JL_REQUIRE(s.free_bits >= 0.0f, "%s: free_bits must be at least 0, got %g", operation,
               static_cast<double>(s.free_bits));
    JL_REQUIRE(s.rows == 0 || (mu != nullptr && log_var != nullptr), "%s: mu and log_var must not be null",
               operation);
    JL_REQUIRE(noise != nullptr || random != nullptr, "%s: either noise or random must be given", operation);
    JL_REQUIRE(s.rows <= kPhiloxBlocks / ((s.dims + 3) / 4) && s.samples <= kPhiloxBlocks,
               "%s: rows ceil(dims / 4) and samples must be at most 2^32", operation);
    return JL_OK;
}

inline jl_status check_gaussian_forward(const jl_gaussian* shape, const float* mu, const float* log_var,
                                        const float* noise, const jl_random* random, jl_workspace workspace) {
    if (const jl_status status = check_gaussian("gaussian_forward", shape, mu, log_var, noise, random))
        return status;
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= gaussian_workspace(shape),
               "gaussian_forward: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               gaussian_workspace(shape));
    return JL_OK;
}

jl_status gaussian_forward(const jl_gaussian* shape, const float* mu, const float* log_var,
                           const float* noise, const jl_random* random, const float* kl_weight, float* z,
                           float* kl_rows, float* kl_total, float* log_q, float* log_p, float* kl_live,
                           jl_workspace workspace, jl_stream stream);
jl_status gaussian_backward(const jl_gaussian* shape, const float* mu, const float* log_var,
                            const float* noise, const jl_random* random, const float* kl_weight,
                            const float* kl_live, const float* d_z, const float* d_kl_rows,
                            const float* d_kl_total, const float* d_log_q, const float* d_log_p, float* d_mu,
                            float* d_log_var, jl_stream stream);

}  // namespace jlatent::JL_TABLE

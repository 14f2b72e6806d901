// gaussian: reparameterized sample and KL divergence to N(0, I), in one pass       [Kingma, Welling 2014, eq.
// 10, app. B]
//
// With s = clamp(log_var, log_var_min, log_var_max), sigma = exp(s / 2), eps ~ N(0, 1):
//   z[b,i,d]    = mu[b,d] + sigma[b,d] eps[b,i,d]                                   i = 0 .. samples - 1
//   kl[b,d]     = 1/2 (mu^2 + sigma^2 - 1 - s)
//   kl_rows[b]  = sum_d kl[b,d]                                                     nats
//   kl_total    = w sum_d max(rows free_bits, sum_b kl[b,d])                        w = *kl_weight, or 1
//   where null log_q[b,i]  = -1/2 sum_d (eps^2 + s + log 2 pi),  log_p[b,i] = -1/2 sum_d (z^2 + log 2 pi)
// Free bits [Kingma et al. 2016, eq. 15]: kl_live[d] = 1 where the sum is above the floor, else 0 and no
// gradient.
//
// Backward. With G[b,d] = d_kl_rows[b] + w *d_kl_total kl_live[d] and D[b,i,d] = d_z[b,i,d] - d_log_p[b,i]
// z[b,i,d]:
//   d_mu[b,d]      = sum_i D + G mu
//   d_log_var[b,d] = 1/2 sigma sum_i D eps + 1/2 G (sigma^2 - 1) - 1/2 sum_i d_log_q[b,i];  0 where log_var
//   was clamped
//
// mu, log_var, d_mu, d_log_var   [rows, dims], rows row_stride apart: one matrix [rows, 2 dims] can hold both
// z, d_z, noise                  [rows, samples, dims];   kl_rows [rows];   kl_total [1];   kl_live [dims]
// log_q, log_p and gradients     [rows, samples]
// noise           explicit eps, or null: Philox, row b from block b ceil(dims/4) on, sample i as the
// counter's sample overwritten     every output that is not null; none may overlap another array. Every
// output may be null, and so may
//                 every gradient that is read (taken as 0). kl_live null in backward: all live.
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

constexpr float kLog2Pi = 1.8378770664093453f;

size_t gaussian_workspace(const jl_gaussian* shape);
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

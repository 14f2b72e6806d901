// likelihood: negative log-likelihood of x and its gradient, from a decoder's output, in one pass
//
// Row r of the parameters is held against row r / samples of x. With w[r] = row_weight[r] (1 where null) and
// W = *weight (1 where null):
//   nll_rows[r]       = -sum_d log p(x[d] | parameters[r,.,d])                      nats, unweighted
//   nll_total         = W sum_r w[r] nll_rows[r]
//   d_parameters[r]   = W w[r] d nll_rows[r] / d parameters[r]
//
//   Bernoulli   a = parameters[r,0,d] is the logit:   nll = softplus(a) - x a          x in [0, 1] [Kingma,
//   Welling 2014, C.1] Gaussian    m = parameters[r,0,d], s = log var:   nll = 1/2 (log 2 pi + s + (x - m)^2
//   e^-s) Laplace     m = parameters[r,0,d], s = log b:     nll = log 2 + s + |x - m| e^-s
// s = parameters[r,1,d] with learned_scale, else shape->log_scale. The gradient of |x - m| at 0 is 0.
//
// parameters, d_parameters   [rows, 1 or 2 (learned_scale), dims];   x [rows / samples, dims];   nll_rows,
// row_weight [rows] overwritten     every output that is not null; d_parameters may be parameters itself (in
// place) workspace       likelihood_workspace(shape) bytes, needed for nll_total only deterministic   yes:
// sums in a fixed order bytes           12 rows dims with the gradient (Bernoulli, one sample), 8 rows dims
// without
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

size_t likelihood_workspace(const jl_likelihood* shape);
jl_status likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                     const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                     float* d_parameters, jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE

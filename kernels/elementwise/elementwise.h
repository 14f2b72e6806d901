// elementwise: activations and the little arithmetic that glues layers together
//
//   activation_forward    y = f(x)
//   activation_backward   dx = dy f'(.), from `saved`: y for relu, tanh, sigmoid, softplus and elu, x for
//   silu and gelu add                   out = a + b            (out may be a or b) scale                 out
//   = *factor x        (out may be x) fill                  out = value sum_rows              out[c] = sum_r
//   x[r,c]  (the gradient of a bias)
//
//   relu max(x, 0)   tanh   sigmoid 1 / (1 + e^-x)   softplus log(1 + e^x)   elu x or e^x - 1 [Clevert et al.
//   2016] silu x sigmoid(x) [Elfwing et al. 2018]   gelu x Phi(x), by tanh [Hendrycks, Gimpel 2016]
//
// All arrays contiguous f32, any alignment; no overlap but where said. Deterministic; tables agree to a few
// ulp. bytes   forward 8 n, backward 12 n, add 12 n, scale 8 n, fill 4 n, sum_rows 4 rows columns
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

jl_status activation_forward(int32_t activation, const float* x, float* y, int64_t count, jl_stream stream);
jl_status activation_backward(int32_t activation, const float* saved, const float* dy, float* dx,
                              int64_t count, jl_stream stream);
jl_status add(const float* a, const float* b, float* out, int64_t count, jl_stream stream);
jl_status scale(const float* x, const float* factor, float* out, int64_t count, jl_stream stream);
jl_status fill(float* out, float value, int64_t count, jl_stream stream);
size_t sum_rows_workspace(int64_t rows, int64_t columns);
jl_status sum_rows(const float* x, float* out, int64_t rows, int64_t columns, jl_workspace workspace,
                   jl_stream stream);

}  // namespace jlatent::JL_TABLE

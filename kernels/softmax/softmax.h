// softmax: rows of logits to probabilities or their logarithms
//
// softmax_forward    y[r,c] = e^(x[r,c] - m_r) / s_r,  m_r = max_c x[r,c],  s_r = sum_c e^(x[r,c] - m_r)
//           log      y[r,c] = x[r,c] - m_r - log s_r
// softmax_backward   dx[r,c] = y[r,c] (dy[r,c] - sum_k y[r,k] dy[r,k])
//           log      dx[r,c] = dy[r,c] - e^y[r,c] sum_k dy[r,k]
//
// x, y, dy, dx    [rows, columns] contiguous f32, any alignment; y may be x, dx may be dy
//                 -inf in x: probability 0, log -inf. Any size of finite x: nothing overflows.
//                 A row that holds +inf or NaN, or nothing but -inf, has no distribution: all of it is NaN.
// deterministic   yes; tables agree to a few ulp
// bytes           forward 8 rows columns, backward 12; rows past the cache are read up to three times
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "math.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// What every table refuses.
inline jl_status check_softmax(const char* operation, const void* x, const void* y, const void* out,
                               int64_t rows, int64_t columns) {
    JL_REQUIRE(rows >= 0 && columns >= 0, "%s: rows and columns must not be negative, got %lld and %lld",
               operation, static_cast<long long>(rows), static_cast<long long>(columns));
    JL_REQUIRE(fits({rows, columns}), "%s: at most 2^38 elements are possible, got %lld x %lld", operation,
               static_cast<long long>(rows), static_cast<long long>(columns));
    JL_REQUIRE(rows == 0 || columns == 0 || (x != nullptr && y != nullptr && out != nullptr),
               "%s: an array is null", operation);
    return JL_OK;
}

jl_status softmax_forward(int32_t log, const float* x, float* y, int64_t rows, int64_t columns,
                          jl_stream stream);
jl_status softmax_backward(int32_t log, const float* y, const float* dy, float* dx, int64_t rows,
                           int64_t columns, jl_stream stream);

}  // namespace jlatent::JL_TABLE

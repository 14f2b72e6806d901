// What finite_scalar_quantize and lookup_free_quantize share: every value of a row is quantized by itself, and the row's
// code is the sum of what its values stand for.
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kMostScalarDims = 30;  // 2^30 codes: i32 holds no more digits

JL_HOST_DEVICE bool is_finite(float x) { return fabsf(x) <= 3.402823466e+38f; }

// What every table refuses of rows of so many values.
inline jl_status check_scalar_rows(const char* operation, int64_t rows, int64_t dims) {
    JL_REQUIRE(rows >= 0 && dims >= 1 && dims <= kMostScalarDims,
               "%s: rows must be at least 0 and dims in [1, 30], got %lld and %lld", operation,
               static_cast<long long>(rows), static_cast<long long>(dims));
    JL_REQUIRE(fits({rows, dims}), "%s: at most 2^38 elements are possible, got %lld x %lld", operation,
               static_cast<long long>(rows), static_cast<long long>(dims));
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

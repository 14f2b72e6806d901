// scalar_codes.h on the CPU. Rows are short, so vectors go along several of them: a strip of 16 rows is as many whole
// vectors as a row has values, and what depends on the column is laid out 16 times.
#pragma once
#include "parallel.h"
#include "scalar_codes.h"

namespace jlatent::JL_TABLE {

constexpr int64_t kStripRows = 16, kMostStrip = kStripRows * kMostScalarDims;
constexpr int64_t kTaskRows = 512;

inline int64_t row_tasks(int64_t rows) { return (rows + kTaskRows - 1) / kTaskRows; }

// body(task, first row, end) for all rows.
template <class Body>
void for_row_tasks(int64_t rows, int64_t dims, Body body) {
    parallel_for(row_tasks(rows), rows * dims, [&](int64_t task) {
        const int64_t first = task * kTaskRows;
        body(task, first, first + kTaskRows < rows ? first + kTaskRows : rows);
    });
}

// body(first row, rows) for the strips of [first, end).
template <class Body>
void for_strips(int64_t first, int64_t end, Body body) {
    for (int64_t n = first; n < end; n += kStripRows) body(n, end - n < kStripRows ? end - n : kStripRows);
}

// The code of each of a strip's rows: the sum of its values' parts.
inline void sum_parts(const int32_t* parts, int64_t rows, int64_t dims, int32_t* codes) {
    for (int64_t r = 0; r < rows; ++r) {
        int32_t code = 0;
        for (int64_t d = 0; d < dims; ++d) code += parts[r * dims + d];
        codes[r] = code;
    }
}

// Names the first row of x, where there is one, that is not finite.
inline jl_status refuse_not_finite(const char* operation, const float* x, int64_t rows, int64_t dims) {
    for (int64_t i = 0; i < rows * dims; ++i)
        JL_REQUIRE(is_finite(x[i]), "%s: row %lld of x is not finite", operation,
                   static_cast<long long>(i / dims));
    return JL_OK;
}

// Names the first code outside [0, most).
inline jl_status check_scalar_codes(const char* operation, const int32_t* codes, int64_t rows, int64_t most) {
    for (int64_t n = 0; n < rows; ++n)
        JL_REQUIRE(codes[n] >= 0 && codes[n] < most, "%s: codes[%lld] is %d, but there are %lld codes",
                   operation, static_cast<long long>(n), codes[n], static_cast<long long>(most));
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

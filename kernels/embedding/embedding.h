// embedding: rows of a table by code, and the table's gradient
//
// embedding_forward    out[n,:]     = table[codes[n],:]
// embedding_backward   d_table[k,:] = sum of dy[n,:] over the n with codes[n] = k, in a fixed order (code_sums.h);
//                      0 for codes that do not occur; overwritten
//
// table, d_table  [rows, dims] contiguous f32; out, dy [count, dims]; codes [count] i32; no overlap
// out of range    The CPU refuses codes outside [0, rows) with JL_BAD_ARGUMENT, which names the first, and writes
//                 nothing. CUDA cannot know without waiting: such a row of `out` is NaN, so that whatever depends on
//                 it is not finite, and *out_of_range (device memory, or null) grows by one for each. Read it when
//                 the host waits anyway; nothing sets it back. Backward leaves such positions out on CUDA.
// deterministic   yes, out_of_range too
// workspace       backward: embedding_workspace(shape) bytes
// bytes           forward 8 count dims + 4 count; backward 4 (count + rows) dims + about 24 count
#pragma once
#include "code_sums.h"
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

size_t embedding_workspace(const jl_embedding* shape);

// What every table refuses.
inline jl_status check_embedding(const char* operation, const jl_embedding* s, const void* codes,
                                 const void* small, const void* large) {
    constexpr int64_t kMost = (int64_t{1} << 31) - 2;  // positions and codes are i32
    JL_REQUIRE(s != nullptr, "%s: shape is null", operation);
    JL_REQUIRE(
        s->count >= 0 && s->count <= kMost && s->rows >= 1 && s->rows <= kMost && s->dims >= 0,
        "%s: count must be in [0, 2^31 - 2], rows in [1, 2^31 - 2], dims at least 0, got %lld, %lld and %lld",
        operation, static_cast<long long>(s->count), static_cast<long long>(s->rows),
        static_cast<long long>(s->dims));
    JL_REQUIRE(
        s->dims <= kMostCodeDims && fits({s->count, s->dims}) && fits({s->rows, s->dims}),
        "%s: dims must be at most 2^20 and arrays at most 2^38 elements, got %lld codes, %lld rows and "
        "%lld dims",
        operation, static_cast<long long>(s->count), static_cast<long long>(s->rows),
        static_cast<long long>(s->dims));
    JL_REQUIRE(s->count == 0 || s->dims == 0 || (codes != nullptr && large != nullptr),
               "%s: an array is null", operation);
    JL_REQUIRE(s->dims == 0 || small != nullptr, "%s: the table is null", operation);
    return JL_OK;
}

inline jl_status check_embedding_workspace(const jl_embedding* s, jl_workspace workspace) {
    JL_REQUIRE(workspace.data != nullptr && workspace.bytes >= embedding_workspace(s),
               "embedding_backward: the workspace has %zu bytes, %zu are needed", workspace.bytes,
               embedding_workspace(s));
    return JL_OK;
}

jl_status embedding_forward(const jl_embedding* shape, const float* table, const int32_t* codes, float* out,
                            uint32_t* out_of_range, jl_stream stream);
jl_status embedding_backward(const jl_embedding* shape, const int32_t* codes, const float* dy, float* d_table,
                             jl_workspace workspace, jl_stream stream);

}  // namespace jlatent::JL_TABLE

#include "embedding.h"

#include "code_sums_cpu.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task

// Names the first code that no row has.
jl_status check_codes(const char* operation, const jl_embedding& s, const int32_t* codes) {
    const uint32_t rows = static_cast<uint32_t>(s.rows);
    uint32_t wrong = 0;
#pragma omp simd reduction(| : wrong)
    for (int64_t n = 0; n < s.count; ++n) wrong |= static_cast<uint32_t>(codes[n]) >= rows ? 1u : 0u;
    if (wrong == 0) return JL_OK;
    int64_t n = 0;
    while (static_cast<uint32_t>(codes[n]) < rows) ++n;
    return fail(JL_BAD_ARGUMENT, "%s: codes[%lld] is %d, but the table has %lld rows", operation,
                static_cast<long long>(n), codes[n], static_cast<long long>(s.rows));
}

}  // namespace

jl_status embedding_forward(const jl_embedding* shape, const float* table, const int32_t* codes, float* out,
                            uint32_t*, jl_stream) {
    if (const jl_status status = check_embedding("embedding_forward", shape, codes, table, out))
        return status;
    const jl_embedding s = *shape;
    if (s.dims == 0) return JL_OK;
    if (const jl_status status = check_codes("embedding_forward", s, codes)) return status;
    const int64_t group = s.dims < kTile ? kTile / s.dims : 1;
    parallel_for((s.count + group - 1) / group, s.count * s.dims, [=](int64_t task) {
        const int64_t end = (task + 1) * group < s.count ? (task + 1) * group : s.count;
        for (int64_t n = task * group; n < end; ++n) {
            const float* row = table + codes[n] * s.dims;
            float* to = out + n * s.dims;
#pragma omp simd
            for (int64_t d = 0; d < s.dims; ++d) to[d] = row[d];
        }
    });
    return JL_OK;
}

size_t embedding_workspace(const jl_embedding* s) {
    return kWorkspaceHeader + code_sums_bytes(s->count, s->rows, code_tile(s->rows), s->dims);
}

jl_status embedding_backward(const jl_embedding* shape, const int32_t* codes, const float* dy, float* d_table,
                             jl_workspace workspace, jl_stream) {
    if (const jl_status status = check_embedding("embedding_backward", shape, codes, d_table, dy))
        return status;
    if (const jl_status status = check_embedding_workspace(shape, workspace)) return status;
    const jl_embedding s = *shape;
    if (s.dims == 0) return JL_OK;
    if (const jl_status status = check_codes("embedding_backward", s, codes)) return status;
    const CodeSort sort = code_sort_in(workspace_floats(workspace), s.count, s.rows, code_tile(s.rows));
    code_sort(codes, 1, sort);
    code_sums(PlainRows{dy, s.dims}, nullptr, sort, s.dims, d_table);
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

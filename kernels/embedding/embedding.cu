#include "embedding.h"

#include "code_sums_cuda.h"
#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread copies four neighbouring elements of a row.
__global__ void forward_kernel(jl_embedding s, const float* __restrict__ table,
                               const int32_t* __restrict__ codes, float* __restrict__ out,
                               uint32_t* out_of_range) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, across = (s.dims + 3) / 4;
    if (i >= s.count * across) return;
    const int64_t n = i / across, d = i % across * 4;
    const int width = s.dims - d < 4 ? static_cast<int>(s.dims - d) : 4;
    const int64_t code = codes[n];
    if (code < 0 || code >= s.rows) {
        if (d == 0 && out_of_range != nullptr) atomicAdd(out_of_range, 1u);
        const float nan = float_of_bits(0x7fc00000u);
        store_quad(out + n * s.dims, d, width, {{nan, nan, nan, nan}});
        return;
    }
    store_quad(out + n * s.dims, d, width, load_quad(table + code * s.dims, d, width));
}

}  // namespace

jl_status embedding_forward(const jl_embedding* shape, const float* table, const int32_t* codes, float* out,
                            uint32_t* out_of_range, jl_stream stream) {
    if (const jl_status status = check_embedding("embedding_forward", shape, codes, table, out))
        return status;
    const jl_embedding s = *shape;
    if (s.count == 0 || s.dims == 0) return JL_OK;
    const int64_t threads = s.count * ((s.dims + 3) / 4);
    return launch("embedding_forward", static_cast<unsigned>((threads + kBlock - 1) / kBlock), kBlock, 0,
                  stream, forward_kernel, s, table, codes, out, out_of_range);
}

size_t embedding_workspace(const jl_embedding* s) {
    return kWorkspaceHeader + code_sums_bytes(s->count, s->rows, code_tile(s->rows), s->dims);
}

jl_status embedding_backward(const jl_embedding* shape, const int32_t* codes, const float* dy, float* d_table,
                             jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_embedding("embedding_backward", shape, codes, d_table, dy))
        return status;
    if (const jl_status status = check_embedding_workspace(shape, workspace)) return status;
    const jl_embedding s = *shape;
    if (s.dims == 0) return JL_OK;
    const CodeSort sort = code_sort_in(workspace_floats(workspace), s.count, s.rows, code_tile(s.rows));
    if (const jl_status status =
            code_sort("embedding_backward", codes, 1, sort, workspace_counter(workspace), stream))
        return status;
    return code_sums("embedding_backward", PlainRows{dy, s.dims}, nullptr, sort, s.dims, d_table, stream);
}

}  // namespace jlatent::JL_TABLE

// The table of processors with AMX: that of AVX-512 with other products of bf16, which the search of nearest codes begins with.
#include "masked_conv/masked_conv.h"
#include "table.h"
#include "vector_quantize/vector_quantize.h"

namespace jlatent::amx {

const jl_kernels* table() {
    static const jl_kernels kernels = [] {
        jl_kernels k = *avx512::table();
        k.name = "cpu-amx";
        k.vector_quantize_workspace = &vector_quantize_workspace;
        k.masked_conv_workspace = &masked_conv_workspace;
        k.masked_conv_forward = &Entry<&masked_conv_forward>::call;
        k.masked_conv_backward_data = &Entry<&masked_conv_backward_data>::call;
        k.masked_conv_backward_weight = &Entry<&masked_conv_backward_weight>::call;
        k.vector_quantize_forward = &Entry<&vector_quantize_forward>::call;
        return k;
    }();
    return &kernels;
}

}  // namespace jlatent::amx

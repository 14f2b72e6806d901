// The table of processors with AMX: that of AVX-512 with another search of nearest codes.
#include "table.h"
#include "vector_quantize/vector_quantize.h"

namespace jlatent::amx {

const jl_kernels* table() {
    static const jl_kernels kernels = [] {
        jl_kernels k = *avx512::table();
        k.name = "cpu-amx";
        k.vector_quantize_workspace = &vector_quantize_workspace;
        k.vector_quantize_forward = &Entry<&vector_quantize_forward>::call;
        return k;
    }();
    return &kernels;
}

}  // namespace jlatent::amx

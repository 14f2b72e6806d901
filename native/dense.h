/* Dense math for the CPU, on oneDNN, behind a plain C table like jlatent.h's. GPUs have cuBLAS and cuDNN
 * instead. */
#ifndef JLATENT_DENSE_H
#define JLATENT_DENSE_H
#include "jlatent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* out[m,n] = activation(op(a)[m,k] op(b)[k,n] + bias[n]), row-major f32. a is stored [k,m] and b [n,k] when
 * transposed. m and n may be 0, k is at least 1. */
typedef struct {
    int64_t m, n, k;
    int32_t transpose_a, transpose_b;
    int32_t activation; /* jl_activation */
    int32_t reserved;
} jl_matmul;

typedef struct {
    uint32_t abi_version;
    uint32_t struct_size;
    const char* (*last_error)(void); /* text for this thread's last status that was not JL_OK */
    /* bias may be null; out is overwritten and overlaps nothing. Deterministic at equal threads. */
    jl_status (*matmul)(const jl_matmul* shape, const float* a, const float* b, const float* bias,
                        float* out);
    /* Threads for the parallel regions that the calling thread starts from now on, the kernels' included. */
    void (*set_threads)(int32_t threads);
} jl_dense;

const jl_dense* jl_open_dense(void);

#ifdef __cplusplus
}
#endif
#endif

/* Dense math for the CPU, on oneDNN, behind a plain C table like jlatent.h's. GPUs have cuBLAS and cuDNN
 * instead. Images are NHWC. Everything is deterministic at equal threads; outputs are overwritten and overlap
 * nothing. */
#ifndef JLATENT_DENSE_H
#define JLATENT_DENSE_H
#include "jlatent.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A jl_dtype is what operands and results are stored as; sums are f32 always, and so are biases and gradients of
 * weights. bf16 needs a CPU with AVX-512. */

/* out[m,n] = activation(op(a)[m,k] op(b)[k,n] + bias[n]), row-major. a is stored [k,m] and b [n,k] when
 * transposed. m and n may be 0, k is at least 1. */
typedef struct {
    int64_t m, n, k;
    int64_t transpose_a, transpose_b;
    int64_t activation; /* jl_activation */
    int64_t dtype;      /* jl_dtype of a and b */
    int64_t out_dtype;
} jl_matmul;

/* A convolution from x [batch, height, width, channels] to y [batch, out_height, out_width, filters] with
 * weight [filters, kernel_height, kernel_width, channels / groups]. No extent is 0 but batch, which may be.
 *     out_height = (height + pad_top + pad_bottom - dilation_y (kernel_height - 1) - 1) / stride_y + 1
 */
typedef struct {
    int64_t batch, height, width, channels, filters;
    int64_t kernel_height, kernel_width;
    int64_t stride_y, stride_x;
    int64_t pad_top, pad_left, pad_bottom, pad_right;
    int64_t dilation_y, dilation_x; /* 1: neighbouring pixels */
    int64_t groups;                 /* divides channels and filters */
    int64_t activation;             /* of the output, after the bias */
    int64_t dtype;                  /* jl_dtype of what is read: x or y, and weight */
    int64_t out_dtype;              /* of the y or x that is written; gradients of weights are f32 */
} jl_conv;

typedef struct {
    uint32_t abi_version;
    uint32_t struct_size;
    const char* (*last_error)(void); /* text for this thread's last status that was not JL_OK */

    /* bias may be null. */
    jl_status (*matmul)(const jl_matmul* shape, const void* a, const void* b, const float* bias, void* out);

    /* y = activation(conv(x) + bias[filters]); bias may be null. */
    jl_status (*conv)(const jl_conv* shape, const void* x, const void* weight, const float* bias, void* y);
    /* The other way, x = activation(conv^T(y) + bias[channels]): the transposed convolution, and, without
     * bias and activation, the gradient of conv for x. */
    jl_status (*conv_transpose)(const jl_conv* shape, const void* y, const void* weight, const float* bias,
                                void* x);
    /* d_weight = sum over batch and pixels of d_y x, for conv; for conv_transpose y is its input and x its
     * output's gradient. f32. */
    jl_status (*conv_weight_gradient)(const jl_conv* shape, const void* x, const void* d_y, float* d_weight);

    /* f32. `winners` keeps where each maximum was, as many bytes as pool_winners_bytes says; null for the
     * average or when no gradient is wanted. Of equal values the first in the window wins. */
    jl_status (*pool_winners_bytes)(const jl_pool* shape, int64_t* bytes);
    jl_status (*pool)(const jl_pool* shape, const float* x, float* y, void* winners);
    jl_status (*pool_backward)(const jl_pool* shape, const float* d_y, const void* winners, float* d_x);

    /* Threads for the parallel regions that the calling thread starts from now on, the kernels' included. */
    void (*set_threads)(int32_t threads);
} jl_dense;

const jl_dense* jl_open_dense(void);

#ifdef __cplusplus
}
#endif
#endif

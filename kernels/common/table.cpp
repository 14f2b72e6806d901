// Compiled once for each implementation, with JL_TABLE naming it.
#include "table.h"

#include "adam/adam.h"
#include "causal_attention/causal_attention.h"
#include "dropout/dropout.h"
#include "elementwise/concat_elu.h"
#include "elementwise/elementwise.h"
#include "embedding/embedding.h"
#include "finite_scalar_quantize/finite_scalar_quantize.h"
#include "gaussian/gaussian.h"
#include "l2_normalize/l2_normalize.h"
#include "likelihood/likelihood.h"
#include "likelihood/likelihood_levels.h"
#include "lookup_free_quantize/lookup_free_quantize.h"
#include "lstm_cell/lstm_cell.h"
#include "masked_conv/masked_conv.h"
#include "norm/norm.h"
#include "pad/pad.h"
#include "pixel_sampler/pixel_sampler.h"
#include "pool/pool.h"
#include "random/random.h"
#include "resample/resample.h"
#include "softmax/softmax.h"
#include "status.h"
#include "vector_quantize/vector_quantize.h"

namespace jlatent::JL_TABLE {

#define JL_ENTRY(launcher) &Entry<&launcher>::call

const jl_kernels* table() {
    static const jl_kernels kernels = {
        JL_ABI_VERSION,
        sizeof(jl_kernels),
        JL_TABLE_NAME,
        &last_error,
        JL_ENTRY(random_bits),
        JL_ENTRY(random_normal),
        JL_ENTRY(random_advance),
        &gaussian_workspace,
        JL_ENTRY(gaussian_forward),
        JL_ENTRY(gaussian_backward),
        &likelihood_workspace,
        JL_ENTRY(likelihood),
        &adam_workspace,
        JL_ENTRY(adam_step),
        JL_ENTRY(activation_forward),
        JL_ENTRY(activation_backward),
        JL_ENTRY(add),
        JL_ENTRY(scale),
        JL_ENTRY(fill),
        &sum_axis_workspace,
        JL_ENTRY(sum_axis),
        JL_ENTRY(multiply),
        JL_ENTRY(to_bf16),
        JL_ENTRY(from_bf16),
        JL_ENTRY(copy_blocks),
        JL_ENTRY(dropout),
        JL_ENTRY(softmax_forward),
        JL_ENTRY(softmax_backward),
        JL_ENTRY(upsample_forward),
        JL_ENTRY(upsample_backward),
        JL_ENTRY(embedding_forward),
        &embedding_workspace,
        JL_ENTRY(embedding_backward),
        &norm_workspace,
        JL_ENTRY(norm_forward),
        JL_ENTRY(norm_inference),
        JL_ENTRY(norm_backward),
        &vector_quantize_workspace,
        JL_ENTRY(vector_quantize_forward),
        JL_ENTRY(vector_quantize_backward),
        JL_ENTRY(vector_quantize_ema),
        JL_ENTRY(vector_quantize_usage),
        JL_ENTRY(finite_scalar_quantize_forward),
        JL_ENTRY(finite_scalar_quantize_backward),
        JL_ENTRY(finite_scalar_quantize_decode),
        &lookup_free_quantize_workspace,
        JL_ENTRY(lookup_free_quantize_forward),
        JL_ENTRY(lookup_free_quantize_backward),
        JL_ENTRY(lookup_free_quantize_decode),
        JL_ENTRY(l2_normalize_forward),
        JL_ENTRY(l2_normalize_backward),
        JL_ENTRY(vector_quantize_histogram),
        &masked_conv_workspace,
        JL_ENTRY(masked_conv_forward),
        JL_ENTRY(masked_conv_backward_gate),
        JL_ENTRY(masked_conv_backward_data),
        JL_ENTRY(masked_conv_backward_weight),
        JL_ENTRY(bias_activation),
        JL_ENTRY(pool_forward),
        JL_ENTRY(pool_backward),
        JL_ENTRY(pad),
        &likelihood_levels_workspace,
        JL_ENTRY(likelihood_levels),
        JL_ENTRY(likelihood_draw),
        JL_ENTRY(levels_of_values),
        &pixel_sampler_workspace,
        JL_ENTRY(pixel_sampler),
        JL_ENTRY(concat_elu_forward),
        JL_ENTRY(concat_elu_backward),
        JL_ENTRY(causal_attention_forward),
        JL_ENTRY(causal_attention_backward),
        JL_ENTRY(lstm_cell_forward),
        JL_ENTRY(lstm_cell_backward),
    };
    return &kernels;
}

}  // namespace jlatent::JL_TABLE

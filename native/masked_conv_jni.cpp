// org.jlatent.internal.MaskedConvKernels: casts, nothing else.
#include "jni_support.h"

namespace {

jl_masked_conv masked_conv_shape(jlong batch, jlong height, jlong width, jlong channels, jlong filters,
                                 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors) {
    return {batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors};
}

}  // namespace

JL_JNI(jlong, MaskedConvKernels, workspace0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong filters,
 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors) {
    const jl_masked_conv shape =
        masked_conv_shape(batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors);
    return static_cast<jlong>(kernels(table)->masked_conv_workspace(&shape));
}

JL_JNI(jint, MaskedConvKernels, forward0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong filters,
 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors, jlong x, jlong weight, jlong bias,
 jlong vector, jlong map, jlong out, jlong gates, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_masked_conv shape =
        masked_conv_shape(batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors);
    return kernels(table)->masked_conv_forward(
        &shape, pointer<const float>(x), pointer<const float>(weight), pointer<const float>(bias),
        pointer<const float>(vector), pointer<const float>(map), pointer<float>(out), pointer<float>(gates),
        workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, MaskedConvKernels, backwardGate0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong filters,
 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors, jlong gates, jlong d_out, jlong d_a,
 jlong stream) {
    const jl_masked_conv shape =
        masked_conv_shape(batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors);
    return kernels(table)->masked_conv_backward_gate(&shape, pointer<const float>(gates),
                                                     pointer<const float>(d_out), pointer<float>(d_a),
                                                     stream_of(stream));
}

JL_JNI(jint, MaskedConvKernels, backwardData0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong filters,
 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors, jlong d_a, jlong weight, jlong d_x,
 jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_masked_conv shape =
        masked_conv_shape(batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors);
    return kernels(table)->masked_conv_backward_data(
        &shape, pointer<const float>(d_a), pointer<const float>(weight), pointer<float>(d_x),
        workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, MaskedConvKernels, backwardWeight0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong height, jlong width, jlong channels, jlong filters,
 jlong kernel, jlong groups, jint taps, jint epilogue, jint factors, jlong x, jlong d_a, jlong d_weight,
 jlong d_bias, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_masked_conv shape =
        masked_conv_shape(batch, height, width, channels, filters, kernel, groups, taps, epilogue, factors);
    return kernels(table)->masked_conv_backward_weight(
        &shape, pointer<const float>(x), pointer<const float>(d_a), pointer<float>(d_weight),
        pointer<float>(d_bias), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

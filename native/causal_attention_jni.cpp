// org.jlatent.internal.CausalAttentionKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, CausalAttentionKernels, forward0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong positions, jlong heads, jlong dims, jlong qkv, jlong out,
 jlong log_sums, jlong stream) {
    const jl_causal_attention shape = {batch, positions, heads, dims};
    return kernels(table)->causal_attention_forward(&shape, pointer<const float>(qkv), pointer<float>(out),
                                                    pointer<float>(log_sums), stream_of(stream));
}

JL_JNI(jint, CausalAttentionKernels, backward0)
(JNIEnv*, jclass, jlong table, jlong batch, jlong positions, jlong heads, jlong dims, jlong qkv, jlong out,
 jlong log_sums, jlong d_out, jlong d_qkv, jlong stream) {
    const jl_causal_attention shape = {batch, positions, heads, dims};
    return kernels(table)->causal_attention_backward(
        &shape, pointer<const float>(qkv), pointer<const float>(out), pointer<const float>(log_sums),
        pointer<const float>(d_out), pointer<float>(d_qkv), stream_of(stream));
}

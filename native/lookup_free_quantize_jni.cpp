// org.jlatent.internal.LookupFreeQuantizeKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jlong, LookupFreeQuantizeKernels, workspace0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jfloat temperature) {
    const jl_lookup_free_quantize shape = {rows, dims, temperature, 0.0f};
    return static_cast<jlong>(kernels(table)->lookup_free_quantize_workspace(&shape));
}

JL_JNI(jint, LookupFreeQuantizeKernels, forward0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jfloat temperature, jlong x, jlong beta, jlong gamma,
 jlong codes, jlong q, jlong commitment, jlong penalty, jlong entropies, jlong bit_log_odds, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    const jl_lookup_free_quantize shape = {rows, dims, temperature, 0.0f};
    return kernels(table)->lookup_free_quantize_forward(
        &shape, pointer<const float>(x), pointer<const float>(beta), pointer<const float>(gamma),
        pointer<int32_t>(codes), pointer<float>(q), pointer<float>(commitment), pointer<float>(penalty),
        pointer<float>(entropies), pointer<float>(bit_log_odds), workspace_of(workspace, workspace_bytes),
        stream_of(stream));
}

JL_JNI(jint, LookupFreeQuantizeKernels, backward0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jfloat temperature, jlong x, jlong bit_log_odds,
 jlong beta, jlong gamma, jlong d_q, jlong d_commitment, jlong d_penalty, jlong d_x, jlong stream) {
    const jl_lookup_free_quantize shape = {rows, dims, temperature, 0.0f};
    return kernels(table)->lookup_free_quantize_backward(
        &shape, pointer<const float>(x), pointer<const float>(bit_log_odds), pointer<const float>(beta),
        pointer<const float>(gamma), pointer<const float>(d_q), pointer<const float>(d_commitment),
        pointer<const float>(d_penalty), pointer<float>(d_x), stream_of(stream));
}

JL_JNI(jint, LookupFreeQuantizeKernels, decode0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong codes, jlong q, jlong stream) {
    const jl_lookup_free_quantize shape = {rows, dims, 1.0f, 0.0f};
    return kernels(table)->lookup_free_quantize_decode(&shape, pointer<const int32_t>(codes),
                                                       pointer<float>(q), stream_of(stream));
}

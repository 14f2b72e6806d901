// org.jlatent.internal.LikelihoodLevelsKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jlong, LikelihoodLevelsKernels, workspace0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong pixels, jlong samples, jint channels, jint levels,
 jint components, jint distribution) {
    const jl_likelihood_levels shape = {rows, pixels, samples, channels, levels, components, distribution};
    return static_cast<jlong>(kernels(table)->likelihood_levels_workspace(&shape));
}

JL_JNI(jint, LikelihoodLevelsKernels, nll0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong pixels, jlong samples, jint channels, jint levels,
 jint components, jint distribution, jlong parameters, jlong x, jlong row_weight, jlong weight,
 jlong nll_rows, jlong nll_total, jlong d_parameters, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_likelihood_levels shape = {rows, pixels, samples, channels, levels, components, distribution};
    return kernels(table)->likelihood_levels(
        &shape, pointer<const float>(parameters), pointer<const int32_t>(x), pointer<const float>(row_weight),
        pointer<const float>(weight), pointer<float>(nll_rows), pointer<float>(nll_total),
        pointer<float>(d_parameters), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, LikelihoodLevelsKernels, draw0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong pixels, jint channels, jint levels, jint components,
 jint distribution, jlong parameters, jlong random, jint site, jfloat temperature, jint top_k, jlong x,
 jlong stream) {
    const jl_likelihood_levels shape = {rows, pixels, 1, channels, levels, components, distribution};
    return kernels(table)->likelihood_draw(&shape, pointer<const float>(parameters),
                                           pointer<const jl_random>(random), static_cast<uint32_t>(site),
                                           temperature, top_k, pointer<int32_t>(x), stream_of(stream));
}

JL_JNI(jint, LikelihoodLevelsKernels, ofValues0)
(JNIEnv*, jclass, jlong table, jlong values, jlong count, jint levels, jlong x, jlong stream) {
    return kernels(table)->levels_of_values(pointer<const float>(values), count, levels, pointer<int32_t>(x),
                                            stream_of(stream));
}

// org.jlatent.internal.NormKernels: casts, nothing else.
#include "jni_support.h"

namespace {

jl_norm norm_shape(jlong outer, jlong spatial, jlong groups, jlong channels, jfloat epsilon,
                   jfloat momentum) {
    return {outer, spatial, groups, channels, epsilon, momentum};
}

}  // namespace

JL_JNI(jlong, NormKernels, normWorkspace0)
(JNIEnv*, jclass, jlong table, jlong outer, jlong spatial, jlong groups, jlong channels) {
    const jl_norm shape = norm_shape(outer, spatial, groups, channels, 0.0f, 0.0f);
    return static_cast<jlong>(kernels(table)->norm_workspace(&shape));
}

JL_JNI(jint, NormKernels, normForward0)
(JNIEnv*, jclass, jlong table, jlong outer, jlong spatial, jlong groups, jlong channels, jfloat epsilon,
 jfloat momentum, jlong x, jlong gamma, jlong beta, jlong y, jlong statistics, jlong running_mean,
 jlong running_variance, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_norm shape = norm_shape(outer, spatial, groups, channels, epsilon, momentum);
    return kernels(table)->norm_forward(
        &shape, pointer<const float>(x), pointer<const float>(gamma), pointer<const float>(beta),
        pointer<float>(y), pointer<float>(statistics), pointer<float>(running_mean),
        pointer<float>(running_variance), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, NormKernels, normInference0)
(JNIEnv*, jclass, jlong table, jlong outer, jlong spatial, jlong groups, jlong channels, jfloat epsilon,
 jlong x, jlong gamma, jlong beta, jlong mean, jlong variance, jlong y, jlong stream) {
    const jl_norm shape = norm_shape(outer, spatial, groups, channels, epsilon, 0.0f);
    return kernels(table)->norm_inference(
        &shape, pointer<const float>(x), pointer<const float>(gamma), pointer<const float>(beta),
        pointer<const float>(mean), pointer<const float>(variance), pointer<float>(y), stream_of(stream));
}

JL_JNI(jint, NormKernels, normBackward0)
(JNIEnv*, jclass, jlong table, jlong outer, jlong spatial, jlong groups, jlong channels, jfloat epsilon,
 jlong x, jlong gamma, jlong statistics, jlong dy, jlong dx, jlong d_gamma, jlong d_beta, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    const jl_norm shape = norm_shape(outer, spatial, groups, channels, epsilon, 0.0f);
    return kernels(table)->norm_backward(&shape, pointer<const float>(x), pointer<const float>(gamma),
                                         pointer<const float>(statistics), pointer<const float>(dy),
                                         pointer<float>(dx), pointer<float>(d_gamma), pointer<float>(d_beta),
                                         workspace_of(workspace, workspace_bytes), stream_of(stream));
}

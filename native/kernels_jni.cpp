// org.jlatent.internal.Kernels: casts, nothing else.
#include "jni_support.h"

namespace {

jl_gaussian gaussian_shape(jlong rows, jlong dims, jlong samples, jlong row_stride, jfloat log_var_min,
                           jfloat log_var_max, jfloat free_bits, jint site) {
    return {rows,        dims,        samples,   row_stride,
            log_var_min, log_var_max, free_bits, static_cast<uint32_t>(site)};
}

jl_likelihood likelihood_shape(jlong rows, jlong dims, jlong samples, jint distribution,
                               jboolean learned_scale, jfloat log_scale) {
    return {rows, dims, samples, distribution, learned_scale, log_scale, 0.0f};
}

}  // namespace

JL_JNI(jstring, Kernels, name0)(JNIEnv* env, jclass, jlong table) {
    return env->NewStringUTF(kernels(table)->name);
}

JL_JNI(jstring, Kernels, lastError0)(JNIEnv* env, jclass, jlong table) {
    return env->NewStringUTF(kernels(table)->last_error());
}

// ---- random ----

JL_JNI(jint, Kernels, randomNormal0)
(JNIEnv*, jclass, jlong table, jlong out, jlong count, jlong random, jint site, jlong stream) {
    return kernels(table)->random_normal(pointer<float>(out), count, pointer<const jl_random>(random),
                                         static_cast<uint32_t>(site), stream_of(stream));
}

JL_JNI(jint, Kernels, randomAdvance0)(JNIEnv*, jclass, jlong table, jlong random, jlong stream) {
    return kernels(table)->random_advance(pointer<jl_random>(random), stream_of(stream));
}

// ---- gaussian ----

JL_JNI(jlong, Kernels, gaussianWorkspace0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong samples, jfloat free_bits) {
    const jl_gaussian shape = gaussian_shape(rows, dims, samples, dims, 0.0f, 0.0f, free_bits, 0);
    return static_cast<jlong>(kernels(table)->gaussian_workspace(&shape));
}

JL_JNI(jint, Kernels, gaussianForward0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong samples, jlong row_stride, jfloat log_var_min,
 jfloat log_var_max, jfloat free_bits, jint site, jlong mu, jlong log_var, jlong noise, jlong random,
 jlong kl_weight, jlong z, jlong kl_rows, jlong kl_total, jlong log_q, jlong log_p, jlong kl_live,
 jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_gaussian shape =
        gaussian_shape(rows, dims, samples, row_stride, log_var_min, log_var_max, free_bits, site);
    return kernels(table)->gaussian_forward(
        &shape, pointer<const float>(mu), pointer<const float>(log_var), pointer<const float>(noise),
        pointer<const jl_random>(random), pointer<const float>(kl_weight), pointer<float>(z),
        pointer<float>(kl_rows), pointer<float>(kl_total), pointer<float>(log_q), pointer<float>(log_p),
        pointer<float>(kl_live), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, Kernels, gaussianBackward0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong samples, jlong row_stride, jfloat log_var_min,
 jfloat log_var_max, jfloat free_bits, jint site, jlong mu, jlong log_var, jlong noise, jlong random,
 jlong kl_weight, jlong kl_live, jlong d_z, jlong d_kl_rows, jlong d_kl_total, jlong d_log_q, jlong d_log_p,
 jlong d_mu, jlong d_log_var, jlong stream) {
    const jl_gaussian shape =
        gaussian_shape(rows, dims, samples, row_stride, log_var_min, log_var_max, free_bits, site);
    return kernels(table)->gaussian_backward(
        &shape, pointer<const float>(mu), pointer<const float>(log_var), pointer<const float>(noise),
        pointer<const jl_random>(random), pointer<const float>(kl_weight), pointer<const float>(kl_live),
        pointer<const float>(d_z), pointer<const float>(d_kl_rows), pointer<const float>(d_kl_total),
        pointer<const float>(d_log_q), pointer<const float>(d_log_p), pointer<float>(d_mu),
        pointer<float>(d_log_var), stream_of(stream));
}

// ---- likelihood ----

JL_JNI(jlong, Kernels, likelihoodWorkspace0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong samples, jint distribution,
 jboolean learned_scale) {
    const jl_likelihood shape = likelihood_shape(rows, dims, samples, distribution, learned_scale, 0.0f);
    return static_cast<jlong>(kernels(table)->likelihood_workspace(&shape));
}

JL_JNI(jint, Kernels, likelihood0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong dims, jlong samples, jint distribution,
 jboolean learned_scale, jfloat log_scale, jlong parameters, jlong x, jlong row_weight, jlong weight,
 jlong nll_rows, jlong nll_total, jlong d_parameters, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_likelihood shape = likelihood_shape(rows, dims, samples, distribution, learned_scale, log_scale);
    return kernels(table)->likelihood(
        &shape, pointer<const float>(parameters), pointer<const float>(x), pointer<const float>(row_weight),
        pointer<const float>(weight), pointer<float>(nll_rows), pointer<float>(nll_total),
        pointer<float>(d_parameters), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

// ---- adam ----

JL_JNI(jlong, Kernels, adamWorkspace0)(JNIEnv*, jclass, jlong table, jint count) {
    return static_cast<jlong>(kernels(table)->adam_workspace(count));
}

JL_JNI(jint, Kernels, adamStep0)
(JNIEnv*, jclass, jlong table, jlong tensors, jint count, jlong state, jlong workspace, jlong workspace_bytes,
 jlong stream) {
    return kernels(table)->adam_step(pointer<const jl_adam_tensor>(tensors), count,
                                     pointer<jl_adam_state>(state), workspace_of(workspace, workspace_bytes),
                                     stream_of(stream));
}

// ---- elementwise ----

JL_JNI(jint, Kernels, activationForward0)
(JNIEnv*, jclass, jlong table, jint activation, jlong x, jlong y, jlong count, jlong stream) {
    return kernels(table)->activation_forward(activation, pointer<const float>(x), pointer<float>(y), count,
                                              stream_of(stream));
}

JL_JNI(jint, Kernels, activationBackward0)
(JNIEnv*, jclass, jlong table, jint activation, jlong saved, jlong dy, jlong dx, jlong count, jlong stream) {
    return kernels(table)->activation_backward(activation, pointer<const float>(saved),
                                               pointer<const float>(dy), pointer<float>(dx), count,
                                               stream_of(stream));
}

JL_JNI(jint, Kernels, add0)
(JNIEnv*, jclass, jlong table, jlong left, jlong right, jlong out, jlong count, jlong stream) {
    return kernels(table)->add(pointer<const float>(left), pointer<const float>(right), pointer<float>(out),
                               count, stream_of(stream));
}

JL_JNI(jint, Kernels, scale0)
(JNIEnv*, jclass, jlong table, jlong x, jlong factor, jlong out, jlong count, jlong stream) {
    return kernels(table)->scale(pointer<const float>(x), pointer<const float>(factor), pointer<float>(out),
                                 count, stream_of(stream));
}

JL_JNI(jint, Kernels, fill0)
(JNIEnv*, jclass, jlong table, jlong out, jfloat value, jlong count, jlong stream) {
    return kernels(table)->fill(pointer<float>(out), value, count, stream_of(stream));
}

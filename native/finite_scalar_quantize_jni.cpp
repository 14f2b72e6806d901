// org.jlatent.internal.FiniteScalarQuantizeKernels: casts, nothing else.
#include "jni_support.h"

namespace {

// More levels than the shape holds are not copied; `dims` has the kernels refuse them.
jl_finite_scalar_quantize shape_of(JNIEnv* env, jlong rows, jintArray levels) {
    jl_finite_scalar_quantize shape = {rows, env->GetArrayLength(levels), {}};
    constexpr jsize kMost = sizeof shape.levels / sizeof shape.levels[0];
    const jsize count = shape.dims < kMost ? static_cast<jsize>(shape.dims) : kMost;
    env->GetIntArrayRegion(levels, 0, count, reinterpret_cast<jint*>(shape.levels));
    return shape;
}

}  // namespace

JL_JNI(jint, FiniteScalarQuantizeKernels, forward0)
(JNIEnv* env, jclass, jlong table, jlong rows, jintArray levels, jlong x, jlong codes, jlong q,
 jlong stream) {
    const jl_finite_scalar_quantize shape = shape_of(env, rows, levels);
    return kernels(table)->finite_scalar_quantize_forward(
        &shape, pointer<const float>(x), pointer<int32_t>(codes), pointer<float>(q), stream_of(stream));
}

JL_JNI(jint, FiniteScalarQuantizeKernels, backward0)
(JNIEnv* env, jclass, jlong table, jlong rows, jintArray levels, jlong x, jlong d_q, jlong d_x,
 jlong stream) {
    const jl_finite_scalar_quantize shape = shape_of(env, rows, levels);
    return kernels(table)->finite_scalar_quantize_backward(
        &shape, pointer<const float>(x), pointer<const float>(d_q), pointer<float>(d_x), stream_of(stream));
}

JL_JNI(jint, FiniteScalarQuantizeKernels, decode0)
(JNIEnv* env, jclass, jlong table, jlong rows, jintArray levels, jlong codes, jlong q, jlong stream) {
    const jl_finite_scalar_quantize shape = shape_of(env, rows, levels);
    return kernels(table)->finite_scalar_quantize_decode(&shape, pointer<const int32_t>(codes),
                                                         pointer<float>(q), stream_of(stream));
}

// org.jlatent.internal.PoolKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, PoolKernels, forward0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong x, jlong y, jlong winners, jlong stream) {
    const auto s = shape_of<jl_pool>(env, shape);
    return kernels(table)->pool_forward(&s, pointer<const float>(x), pointer<float>(y),
                                        pointer<int32_t>(winners), stream_of(stream));
}

JL_JNI(jint, PoolKernels, backward0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong dy, jlong winners, jlong dx, jlong stream) {
    const auto s = shape_of<jl_pool>(env, shape);
    return kernels(table)->pool_backward(&s, pointer<const float>(dy), pointer<const int32_t>(winners),
                                         pointer<float>(dx), stream_of(stream));
}

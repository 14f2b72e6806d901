// org.jlatent.internal.DropoutKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, DropoutKernels, dropout0)
(JNIEnv*, jclass, jlong table, jlong x, jlong y, jlong count, jlong random, jint site, jfloat drop,
 jfloat scale, jlong stream) {
    return kernels(table)->dropout(pointer<const float>(x), pointer<float>(y), count,
                                   pointer<const jl_random>(random), static_cast<uint32_t>(site), drop, scale,
                                   stream_of(stream));
}

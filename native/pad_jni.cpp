// org.jlatent.internal.PadKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, PadKernels, pad0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong x, jlong y, jlong stream) {
    const auto s = shape_of<jl_pad>(env, shape);
    return kernels(table)->pad(&s, pointer<const void>(x), pointer<void>(y), stream_of(stream));
}

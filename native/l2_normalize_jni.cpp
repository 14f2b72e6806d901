// org.jlatent.internal.L2NormalizeKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, L2NormalizeKernels, forward0)
(JNIEnv*, jclass, jlong table, jlong x, jlong y, jlong rows, jlong dims, jfloat epsilon, jlong stream) {
    return kernels(table)->l2_normalize_forward(pointer<const float>(x), pointer<float>(y), rows, dims,
                                                epsilon, stream_of(stream));
}

JL_JNI(jint, L2NormalizeKernels, backward0)
(JNIEnv*, jclass, jlong table, jlong x, jlong dy, jlong dx, jlong rows, jlong dims, jfloat epsilon,
 jlong stream) {
    return kernels(table)->l2_normalize_backward(pointer<const float>(x), pointer<const float>(dy),
                                                 pointer<float>(dx), rows, dims, epsilon, stream_of(stream));
}

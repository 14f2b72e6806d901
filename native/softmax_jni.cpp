// org.jlatent.internal.SoftmaxKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, SoftmaxKernels, forward0)
(JNIEnv*, jclass, jlong table, jboolean log, jlong x, jlong y, jlong rows, jlong columns, jlong stream) {
    return kernels(table)->softmax_forward(log, pointer<const float>(x), pointer<float>(y), rows, columns,
                                           stream_of(stream));
}

JL_JNI(jint, SoftmaxKernels, backward0)
(JNIEnv*, jclass, jlong table, jboolean log, jlong y, jlong dy, jlong dx, jlong rows, jlong columns,
 jlong stream) {
    return kernels(table)->softmax_backward(log, pointer<const float>(y), pointer<const float>(dy),
                                            pointer<float>(dx), rows, columns, stream_of(stream));
}

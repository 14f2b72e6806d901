// org.jlatent.internal.ElementwiseKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, ElementwiseKernels, multiply0)
(JNIEnv*, jclass, jlong table, jlong left, jlong right, jlong out, jlong count, jlong stream) {
    return kernels(table)->multiply(pointer<const float>(left), pointer<const float>(right),
                                    pointer<float>(out), count, stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, toBf160)
(JNIEnv*, jclass, jlong table, jlong x, jlong out, jlong count, jlong stream) {
    return kernels(table)->to_bf16(pointer<const float>(x), pointer<uint16_t>(out), count, stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, fromBf160)
(JNIEnv*, jclass, jlong table, jlong x, jlong out, jlong count, jlong stream) {
    return kernels(table)->from_bf16(pointer<const uint16_t>(x), pointer<float>(out), count,
                                     stream_of(stream));
}

JL_JNI(jlong, ElementwiseKernels, sumAxisWorkspace0)
(JNIEnv*, jclass, jlong table, jlong outer, jlong n, jlong inner) {
    return static_cast<jlong>(kernels(table)->sum_axis_workspace(outer, n, inner));
}

JL_JNI(jint, ElementwiseKernels, sumAxis0)
(JNIEnv*, jclass, jlong table, jlong x, jlong out, jlong outer, jlong n, jlong inner, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    return kernels(table)->sum_axis(pointer<const float>(x), pointer<float>(out), outer, n, inner,
                                    workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, copyBlocks0)
(JNIEnv*, jclass, jlong table, jlong x, jlong x_stride, jlong out, jlong out_stride, jlong rows,
 jlong columns, jlong stream) {
    return kernels(table)->copy_blocks(pointer<const float>(x), x_stride, pointer<float>(out), out_stride,
                                       rows, columns, stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, biasActivation0)
(JNIEnv*, jclass, jlong table, jint activation, jint x_dtype, jlong x, jlong bias, jint y_dtype, jlong y,
 jlong rows, jlong columns, jlong stream) {
    return kernels(table)->bias_activation(activation, x_dtype, pointer<const void>(x),
                                           pointer<const float>(bias), y_dtype, pointer<void>(y), rows,
                                           columns, stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, concatEluForward0)
(JNIEnv*, jclass, jlong table, jlong x, jlong y, jlong rows, jlong channels, jlong stream) {
    return kernels(table)->concat_elu_forward(pointer<const float>(x), pointer<float>(y), rows, channels,
                                              stream_of(stream));
}

JL_JNI(jint, ElementwiseKernels, concatEluBackward0)
(JNIEnv*, jclass, jlong table, jlong x, jlong dy, jlong dx, jlong rows, jlong channels, jlong stream) {
    return kernels(table)->concat_elu_backward(pointer<const float>(x), pointer<const float>(dy),
                                               pointer<float>(dx), rows, channels, stream_of(stream));
}

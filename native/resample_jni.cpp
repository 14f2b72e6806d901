// org.jlatent.internal.ResampleKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, ResampleKernels, upsampleForward0)
(JNIEnv*, jclass, jlong table, jlong images, jlong height, jlong width, jlong channels, jlong factor_y,
 jlong factor_x, jlong x, jlong y, jlong stream) {
    const jl_upsample shape = {images, height, width, channels, factor_y, factor_x};
    return kernels(table)->upsample_forward(&shape, pointer<const float>(x), pointer<float>(y),
                                            stream_of(stream));
}

JL_JNI(jint, ResampleKernels, upsampleBackward0)
(JNIEnv*, jclass, jlong table, jlong images, jlong height, jlong width, jlong channels, jlong factor_y,
 jlong factor_x, jlong dy, jlong dx, jlong stream) {
    const jl_upsample shape = {images, height, width, channels, factor_y, factor_x};
    return kernels(table)->upsample_backward(&shape, pointer<const float>(dy), pointer<float>(dx),
                                             stream_of(stream));
}

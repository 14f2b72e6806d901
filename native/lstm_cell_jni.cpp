// org.jlatent.internal.LstmCellKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, LstmCellKernels, forward0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong sums, jlong above, jlong gates, jlong c, jlong h,
 jlong row, jlong stream) {
    const auto s = shape_of<jl_lstm_cell>(env, shape);
    return kernels(table)->lstm_cell_forward(&s, pointer<const float>(sums), pointer<const float>(above),
                                             pointer<float>(gates), pointer<float>(c), pointer<float>(h),
                                             pointer<float>(row), stream_of(stream));
}

JL_JNI(jint, LstmCellKernels, backward0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong gates, jlong c, jlong d_h, jlong d_below,
 jlong d_c, jlong d_sums, jlong d_row, jlong stream) {
    const auto s = shape_of<jl_lstm_cell>(env, shape);
    return kernels(table)->lstm_cell_backward(&s, pointer<const float>(gates), pointer<const float>(c),
                                              pointer<const float>(d_h), pointer<const float>(d_below),
                                              pointer<float>(d_c), pointer<float>(d_sums),
                                              pointer<float>(d_row), stream_of(stream));
}

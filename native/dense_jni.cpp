// org.jlatent.internal.OneDnn: dense operations through the table of dense.h.
#include "dense.h"
#include "jni_support.h"

namespace {

const jl_dense* dense(jlong table) { return pointer<const jl_dense>(table); }

}  // namespace

JL_JNI(jint, OneDnn, matmul0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong a, jlong b, jlong bias, jlong out) {
    const auto s = shape_of<jl_matmul>(env, shape);
    return dense(table)->matmul(&s, pointer<const void>(a), pointer<const void>(b),
                                pointer<const float>(bias), pointer<void>(out));
}

JL_JNI(jint, OneDnn, conv0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong x, jlong weight, jlong bias, jlong y) {
    const auto s = shape_of<jl_conv>(env, shape);
    return dense(table)->conv(&s, pointer<const void>(x), pointer<const void>(weight),
                              pointer<const float>(bias), pointer<void>(y));
}

JL_JNI(jint, OneDnn, convTranspose0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong y, jlong weight, jlong bias, jlong x) {
    const auto s = shape_of<jl_conv>(env, shape);
    return dense(table)->conv_transpose(&s, pointer<const void>(y), pointer<const void>(weight),
                                        pointer<const float>(bias), pointer<void>(x));
}

JL_JNI(jint, OneDnn, convWeightGradient0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong x, jlong d_y, jlong d_weight) {
    const auto s = shape_of<jl_conv>(env, shape);
    return dense(table)->conv_weight_gradient(&s, pointer<const void>(x), pointer<const void>(d_y),
                                              pointer<float>(d_weight));
}

// Negative: an error.
JL_JNI(jlong, OneDnn, poolWinnersBytes0)(JNIEnv* env, jclass, jlong table, jlongArray shape) {
    const auto s = shape_of<jl_pool>(env, shape);
    int64_t bytes = 0;
    return dense(table)->pool_winners_bytes(&s, &bytes) == JL_OK ? bytes : -1;
}

JL_JNI(jint, OneDnn, pool0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong x, jlong y, jlong winners) {
    const auto s = shape_of<jl_pool>(env, shape);
    return dense(table)->pool(&s, pointer<const float>(x), pointer<float>(y), pointer<void>(winners));
}

JL_JNI(jint, OneDnn, poolBackward0)
(JNIEnv* env, jclass, jlong table, jlongArray shape, jlong d_y, jlong winners, jlong d_x) {
    const auto s = shape_of<jl_pool>(env, shape);
    return dense(table)->pool_backward(&s, pointer<const float>(d_y), pointer<const void>(winners),
                                       pointer<float>(d_x));
}

JL_JNI(void, OneDnn, setThreads0)(JNIEnv*, jclass, jlong table, jint threads) {
    dense(table)->set_threads(threads);
}

JL_JNI(jstring, OneDnn, lastError0)(JNIEnv* env, jclass, jlong table) {
    return env->NewStringUTF(dense(table)->last_error());
}

// org.jlatent.internal.CpuBackend: dense operations through the table of dense.h.
#include "dense.h"
#include "jni_support.h"

namespace {
const jl_dense* dense(jlong table) { return pointer<const jl_dense>(table); }
}  // namespace

JL_JNI(jint, CpuBackend, matmul0)
(JNIEnv*, jclass, jlong table, jlong m, jlong n, jlong k, jboolean transpose_a, jboolean transpose_b,
 jint activation, jlong a, jlong b, jlong bias, jlong out) {
    const jl_matmul shape = {m, n, k, transpose_a, transpose_b, activation, 0};
    return dense(table)->matmul(&shape, pointer<const float>(a), pointer<const float>(b),
                                pointer<const float>(bias), pointer<float>(out));
}

JL_JNI(void, CpuBackend, setThreads0)(JNIEnv*, jclass, jlong table, jint threads) {
    dense(table)->set_threads(threads);
}

JL_JNI(jstring, CpuBackend, lastError0)(JNIEnv* env, jclass, jlong table) {
    return env->NewStringUTF(dense(table)->last_error());
}

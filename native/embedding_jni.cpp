// org.jlatent.internal.EmbeddingKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jint, EmbeddingKernels, forward0)
(JNIEnv*, jclass, jlong kernel_table, jlong count, jlong rows, jlong dims, jlong table, jlong codes,
 jlong out, jlong out_of_range, jlong stream) {
    const jl_embedding shape = {count, rows, dims};
    return kernels(kernel_table)
        ->embedding_forward(&shape, pointer<const float>(table), pointer<const int32_t>(codes),
                            pointer<float>(out), pointer<uint32_t>(out_of_range), stream_of(stream));
}

JL_JNI(jlong, EmbeddingKernels, workspace0)
(JNIEnv*, jclass, jlong kernel_table, jlong count, jlong rows, jlong dims) {
    const jl_embedding shape = {count, rows, dims};
    return static_cast<jlong>(kernels(kernel_table)->embedding_workspace(&shape));
}

JL_JNI(jint, EmbeddingKernels, backward0)
(JNIEnv*, jclass, jlong kernel_table, jlong count, jlong rows, jlong dims, jlong codes, jlong dy,
 jlong d_table, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_embedding shape = {count, rows, dims};
    return kernels(kernel_table)
        ->embedding_backward(&shape, pointer<const int32_t>(codes), pointer<const float>(dy),
                             pointer<float>(d_table), workspace_of(workspace, workspace_bytes),
                             stream_of(stream));
}

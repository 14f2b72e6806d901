// org.jlatent.internal.VectorQuantizeKernels: casts, nothing else.
#include "jni_support.h"

JL_JNI(jlong, VectorQuantizeKernels, workspace0)
(JNIEnv*, jclass, jlong table, jlong rows, jlong heads, jlong stages, jlong codes, jlong dims, jint type) {
    const jl_vector_quantize shape = {rows, heads, stages, codes, dims, type, 0};
    return static_cast<jlong>(kernels(table)->vector_quantize_workspace(&shape));
}

JL_JNI(jint, VectorQuantizeKernels, forward0)
(JNIEnv*, jclass, jlong table, jlong row_count, jlong heads, jlong stages, jlong code_count, jlong dims,
 jint type, jlong x, jlong codebook, jlong row_mask, jlong beta, jlong codes, jlong q, jlong row_errors,
 jlong codebook_loss, jlong commitment, jlong histogram, jlong valid, jlong invalid, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    const jl_vector_quantize shape = {row_count, heads, stages, code_count, dims, type, 0};
    return kernels(table)->vector_quantize_forward(
        &shape, pointer<const void>(x), pointer<const float>(codebook), pointer<const float>(row_mask),
        pointer<const float>(beta), pointer<int32_t>(codes), pointer<void>(q), pointer<float>(row_errors),
        pointer<float>(codebook_loss), pointer<float>(commitment), pointer<int32_t>(histogram),
        pointer<int32_t>(valid), pointer<uint32_t>(invalid), workspace_of(workspace, workspace_bytes),
        stream_of(stream));
}

JL_JNI(jint, VectorQuantizeKernels, backward0)
(JNIEnv*, jclass, jlong table, jlong row_count, jlong heads, jlong stages, jlong code_count, jlong dims,
 jint type, jint rotate, jlong x, jlong codebook, jlong codes, jlong valid, jlong beta, jlong d_q,
 jlong d_codebook_loss, jlong d_commitment, jlong d_x, jlong d_codebook, jlong workspace,
 jlong workspace_bytes, jlong stream) {
    const jl_vector_quantize shape = {row_count, heads, stages, code_count, dims, type, rotate};
    return kernels(table)->vector_quantize_backward(
        &shape, pointer<const void>(x), pointer<const float>(codebook), pointer<const int32_t>(codes),
        pointer<const int32_t>(valid), pointer<const float>(beta), pointer<const void>(d_q),
        pointer<const float>(d_codebook_loss), pointer<const float>(d_commitment), pointer<void>(d_x),
        pointer<float>(d_codebook), workspace_of(workspace, workspace_bytes), stream_of(stream));
}

JL_JNI(jint, VectorQuantizeKernels, ema0)
(JNIEnv*, jclass, jlong table, jlong row_count, jlong heads, jlong stages, jlong code_count, jlong dims,
 jint type, jlong x, jlong codes, jlong state, jlong random, jint site, jlong counts, jlong sums,
 jlong codebook, jlong workspace, jlong workspace_bytes, jlong stream) {
    const jl_vector_quantize shape = {row_count, heads, stages, code_count, dims, type, 0};
    return kernels(table)->vector_quantize_ema(
        &shape, pointer<const void>(x), pointer<const int32_t>(codes), pointer<jl_vector_quantize_ema>(state),
        pointer<const jl_random>(random), static_cast<uint32_t>(site), pointer<float>(counts),
        pointer<float>(sums), pointer<float>(codebook), workspace_of(workspace, workspace_bytes),
        stream_of(stream));
}

JL_JNI(jint, VectorQuantizeKernels, usage0)
(JNIEnv*, jclass, jlong table, jlong books, jlong code_count, jlong histogram, jlong seen, jlong statistics,
 jlong stream) {
    return kernels(table)->vector_quantize_usage(books, code_count, pointer<const int32_t>(histogram),
                                                 pointer<int32_t>(seen), pointer<float>(statistics),
                                                 stream_of(stream));
}

JL_JNI(jint, VectorQuantizeKernels, histogram0)
(JNIEnv*, jclass, jlong table, jlong row_count, jlong book_count, jlong code_count, jlong codes,
 jlong histogram, jlong stream) {
    return kernels(table)->vector_quantize_histogram(row_count, book_count, code_count,
                                                     pointer<const int32_t>(codes),
                                                     pointer<int32_t>(histogram), stream_of(stream));
}

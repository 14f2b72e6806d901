// Rows of a stored type on CUDA, and what a stage finds of them, made again from the codes of the stages before it.
#pragma once
#include "code_sums_cuda.h"
#include "vector_quantize.h"

namespace jlatent::JL_TABLE {

// `width` <= 4 values from element `at` on; the type is the same for all threads.
__device__ inline Quad load_values(const void* values, int32_t type, int64_t at, int width) {
    return type == JL_F32 ? load_quad(static_cast<const float*>(values), at, width)
                          : load_quad(static_cast<const uint16_t*>(values), at, width);
}
__device__ inline void store_values(void* values, int32_t type, int64_t at, int width, const Quad& q) {
    if (type == JL_F32)
        store_quad(static_cast<float*>(values), at, width, q);
    else
        store_quad(static_cast<uint16_t*>(values), at, width, q);
}

// Of the four values from column d on, those that there are.
__device__ inline int quad_width(int64_t dims, int64_t d) {
    return dims - d < 4 ? static_cast<int>(dims - d) : 4;
}

// The residuals r_s of one head at one stage, for code_sums and revival.
struct Residuals {
    jl_vector_quantize s;
    const void* x;
    const float* codebook;
    const int32_t* codes;
    int64_t head, stage;

    __device__ int64_t at(int64_t n) const { return (n * s.heads + head) * s.dims; }
    // Null where the code is none of the codebook's.
    __device__ const float* entry(int64_t n, int64_t of_stage) const {
        const int64_t code = codes[(n * s.heads + head) * s.stages + of_stage];
        return code < 0 || code >= s.codes
                   ? nullptr
                   : codebook + ((head * s.stages + of_stage) * s.codes + code) * s.dims;
    }
    __device__ float value(int64_t n, int64_t d) const {
        float r = s.type == JL_F32 ? static_cast<const float*>(x)[at(n) + d]
                                   : float_of_bf16(static_cast<const uint16_t*>(x)[at(n) + d]);
        for (int64_t t = 0; t < stage; ++t) {
            const float* e = entry(n, t);
            if (e != nullptr) r -= e[d];
        }
        return r;
    }
};

inline unsigned blocks_of(int64_t items, int64_t a_block) {
    return static_cast<unsigned>(items == 0 ? 1 : (items + a_block - 1) / a_block);
}

inline size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

// What backward and ema keep in the workspace, behind its header; vector_quantize_ema.cu.
size_t vector_quantize_learning_bytes(const jl_vector_quantize& shape);

inline char* workspace_bytes(jl_workspace w) { return reinterpret_cast<char*>(workspace_floats(w)); }

// Bytes for a sort and sums of one book.
inline size_t book_sums_bytes(const jl_vector_quantize& s) {
    return aligned(code_sums_bytes(s.rows, s.codes, code_tile(s.codes), s.dims));
}

// The rows sorted by the codes of one book, at the front of the workspace.
inline jl_status sort_book(const char* operation, const jl_vector_quantize& s, const int32_t* codes,
                           int64_t book, jl_workspace workspace, jl_stream stream, CodeSort* sort) {
    *sort = code_sort_in(workspace_bytes(workspace), s.rows, s.codes, code_tile(s.codes));
    return code_sort(operation, codes + book, s.heads * s.stages, *sort, workspace_counter(workspace),
                     stream);
}

}  // namespace jlatent::JL_TABLE

// Rows of a stored type on the CPU, and what a stage finds of them, made again from the codes of the stages before it.
#pragma once
#include "code_sums_cpu.h"
#include "vector_quantize.h"

namespace jlatent::JL_TABLE {

// `width` values from element `at` on, as f32: where they lie, or in `scratch`.
template <class Width>
const float* widened(const void* values, int32_t type, int64_t at, Width width, float* scratch) {
    if (type == JL_F32) return static_cast<const float*>(values) + at;
    const uint16_t* from = static_cast<const uint16_t*>(values) + at;
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) scratch[d] = float_of_bf16(from[d]);
    return scratch;
}

// Rounds `width` values to `type`, from element `at` on; `from` may be their place already.
template <class Width>
void store(const float* from, void* values, int32_t type, int64_t at, Width width) {
    if (type == JL_F32) {
        float* to = static_cast<float*>(values) + at;
#pragma omp simd
        for (int64_t d = 0; d < width; ++d) to[d] = from[d];
        return;
    }
    uint16_t* to = static_cast<uint16_t*>(values) + at;
#pragma omp simd
    for (int64_t d = 0; d < width; ++d) to[d] = bf16_of_float(from[d]);
}

inline int64_t bytes_of(int32_t type) { return type == JL_F32 ? 4 : 2; }

// The residuals r_s of one head at one stage, for code_sums and revival.
struct Residuals {
    jl_vector_quantize s;
    const void* x;
    const float* codebook;
    const int32_t* codes;
    int64_t head, stage;

    int64_t at(int64_t n) const { return (n * s.heads + head) * s.dims; }
    const float* entry(int64_t n, int64_t of_stage) const {
        const int64_t code = codes[(n * s.heads + head) * s.stages + of_stage];
        return codebook + ((head * s.stages + of_stage) * s.codes + code) * s.dims;
    }
    // Columns [start, start + width) of row n, which counts; `scratch` has room for them.
    template <class Width>
    const float* row(int64_t n, int64_t start, Width width, float* scratch) const {
        const float* r = widened(x, s.type, at(n) + start, width, scratch);
        for (int64_t t = 0; t < stage; ++t) {
            const float* e = entry(n, t) + start;
#pragma omp simd
            for (int64_t d = 0; d < width; ++d) scratch[d] = r[d] - e[d];
            r = scratch;
        }
        return r;
    }
    void ask(int64_t n, int64_t start, int64_t width) const {
        const char* from = static_cast<const char*>(x) + (at(n) + start) * bytes_of(s.type);
        for (int64_t b = 0; b < width * bytes_of(s.type); b += 64) __builtin_prefetch(from + b);
    }
};

// Names the first code that no entry has. A row that does not count has -1 everywhere.
inline jl_status check_codes(const char* operation, const jl_vector_quantize& s, const int32_t* codes) {
    const int64_t books = s.heads * s.stages;
    for (int64_t i = 0; i < s.rows * books; ++i) {
        JL_REQUIRE(codes[i] >= -1 && codes[i] < s.codes,
                   "%s: codes[%lld] is %d, but the codebook has %lld entries", operation,
                   static_cast<long long>(i), codes[i], static_cast<long long>(s.codes));
        JL_REQUIRE((codes[i] < 0) == (codes[i / books * books] < 0),
                   "%s: codes[%lld] is %d, but only all codes of a row can be -1", operation,
                   static_cast<long long>(i), codes[i]);
    }
    return JL_OK;
}

// Bytes for a sort and sums of one book.
inline size_t book_sums_bytes(const jl_vector_quantize& s) {
    return (code_sums_bytes(s.rows, s.codes, code_tile(s.codes), s.dims) + 63) / 64 * 64;
}

// The rows sorted by the codes of one book.
inline CodeSort sort_book(const jl_vector_quantize& s, const int32_t* codes, int64_t book, void* memory) {
    const CodeSort sort = code_sort_in(memory, s.rows, s.codes, code_tile(s.codes));
    code_sort(codes + book, s.heads * s.stages, sort);
    return sort;
}

}  // namespace jlatent::JL_TABLE

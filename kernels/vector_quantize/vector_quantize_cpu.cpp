#include "vector_quantize.h"

#include "nearest_cpu.h"
#include "residuals_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// What a stage leaves over of a row: to = r - e, unless null; `to` may be r. Returns its square.
float leave(const float* r, const float* e, float* to, int64_t dims) {
    if (to != nullptr) {
#pragma omp simd
        for (int64_t d = 0; d < dims; ++d) to[d] = r[d] - e[d];
        return lane_sum(dims, [=](int64_t d) { return to[d] * to[d]; });
    }
    return lane_sum(dims, [=](int64_t d) {
        const float difference = r[d] - e[d];
        return difference * difference;
    });
}

// The workspace of forward, which searches by block and strip: a strip is what one thread keeps.
struct ForwardMemory {
    float* errors;            // [rows]
    NearestSearch* searches;  // [books]
    char* books;              // what these keep, book_bytes each
    char* strips;             // strip_bytes each: the search's, then the block's residuals
    int64_t block, book_bytes, search_bytes, strip_bytes;

    ForwardMemory(void* memory, const jl_vector_quantize& s) : block(block_rows(s.rows, s.dims)) {
        const NearestMemory one(nullptr, s.rows, s.codes, s.dims);
        const int64_t count = s.heads * s.stages;
        const bool apart = s.stages > 1 || s.type != JL_F32;  // x itself will not do for residuals
        book_bytes = one.shared_bytes;
        search_bytes = one.strip_bytes;
        strip_bytes = search_bytes + (apart ? NearestMemory::aligned(block * s.dims * 4) : 0);
        errors = static_cast<float*>(memory);
        char* next = static_cast<char*>(memory) + NearestMemory::aligned(s.rows * 4);
        searches = reinterpret_cast<NearestSearch*>(next);
        books = next + NearestMemory::aligned(count * static_cast<int64_t>(sizeof(NearestSearch)));
        strips = books + count * book_bytes;
    }
};

size_t forward_bytes(const jl_vector_quantize& s) {
    const ForwardMemory m(nullptr, s);
    return static_cast<size_t>(m.strips - static_cast<char*>(nullptr) +
                               omp_get_max_threads() * m.strip_bytes);
}

// One forward pass; a block of rows goes through all heads and stages while it is in the cache.
struct Forward {
    jl_vector_quantize s;
    const void* x;
    const float *codebook, *row_mask;
    int32_t* codes;
    void* q;
    float* errors;
    ForwardMemory m;

    // The rows [first, first + count). Returns -1, or the first one that is not finite where the search met such.
    int64_t quantize(int64_t first, int64_t count, char* strip) const {
        float* residuals = reinterpret_cast<float*>(strip + m.search_bytes);
        const float* mask = row_mask == nullptr ? nullptr : row_mask + first;
        const int64_t books = s.heads * s.stages;
        memset(errors + first, 0, static_cast<size_t>(count) * sizeof(float));
        for (int64_t h = 0; h < s.heads; ++h) {
            const int64_t at = (first * s.heads + h) * s.dims;
            const float* r = static_cast<const float*>(x) + at;
            int64_t stride = s.heads * s.dims;
            if (s.type != JL_F32) {
                for (int64_t n = 0; n < count; ++n)
                    widened(x, s.type, at + n * stride, s.dims, residuals + n * s.dims);
                r = residuals;
                stride = s.dims;
            }
            for (int64_t t = 0; t < s.stages; ++t) {
                const int64_t book = h * s.stages + t;
                int32_t* own = codes + first * books + book;
                const int64_t bad =
                    m.searches[book].block(r, stride, mask, count, strip, m.block, own, books);
                if (bad >= 0) return first + bad;
                for (int64_t n = 0; n < count; ++n) {
                    const int64_t code = own[n * books];
                    if (code >= 0)
                        errors[first + n] +=
                            leave(r + n * stride, codebook + (book * s.codes + code) * s.dims,
                                  t + 1 < s.stages ? residuals + n * s.dims : nullptr, s.dims);
                }
                r = residuals;
                stride = s.dims;
            }
        }
        for (int64_t n = first; n < first + count && q != nullptr; ++n)
            for (int64_t h = 0; h < s.heads; ++h) gather(n, h, residuals);
        return -1;
    }

    // q of one head, made where it belongs or, when it is to be rounded, in `scratch`.
    void gather(int64_t n, int64_t h, float* scratch) const {
        const Residuals rows = {s, x, codebook, codes, h, 0};
        const int64_t at = rows.at(n);
        float* sum = s.type == JL_F32 ? static_cast<float*>(q) + at : scratch;
        const bool counts = codes[n * s.heads * s.stages] >= 0;
        for (int64_t t = 0; t < (counts ? s.stages : 1); ++t) {
            const float* e = counts ? rows.entry(n, t) : nullptr;
            if (t == 0) {
#pragma omp simd
                for (int64_t d = 0; d < s.dims; ++d) sum[d] = e == nullptr ? 0.0f : e[d];
            } else {
#pragma omp simd
                for (int64_t d = 0; d < s.dims; ++d) sum[d] += e[d];
            }
        }
        if (s.type != JL_F32) store(sum, q, s.type, at, s.dims);
    }
};

// -sum p log p over counts that add up to `total`, as a perplexity.
float perplexity(const int32_t* counts, int64_t codes, double total) {
    if (total == 0.0) return 0.0f;
    double entropy = 0.0;
    for (int64_t k = 0; k < codes; ++k)
        if (counts[k] != 0) entropy -= counts[k] / total * std::log(counts[k] / total);
    return static_cast<float>(std::exp(entropy));
}

bool row_is_finite(const jl_vector_quantize& s, const void* x, int64_t n) {
    const int64_t dims = s.heads * s.dims;
    bool finite = true;
    for_columns(dims, [&](int64_t start, int64_t width) {
        float scratch[kColumns];
        const float* values = widened(x, s.type, n * dims + start, width, scratch);
        finite = finite && norm_of(values, width) <= kLargestFinite;
    });
    return finite;
}

}  // namespace

size_t vector_quantize_workspace(const jl_vector_quantize* shape) {
    const jl_vector_quantize& s = *shape;
    const size_t forward = forward_bytes(s);
    const size_t sums = book_sums_bytes(s) + static_cast<size_t>(s.codes * s.dims) * sizeof(float);
    return kWorkspaceHeader + (forward > sums ? forward : sums);
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, void* q,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t*, jl_workspace workspace,
                                  jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_forward", shape, x, codebook, codes, workspace))
        return status;
    const jl_vector_quantize s = *shape;
    const int64_t books = s.heads * s.stages;
    const ForwardMemory m(workspace_floats(workspace), s);
    for (int64_t b = 0; b < books; ++b) {
        const NearestMemory own(m.books + b * m.book_bytes, s.rows, s.codes, s.dims);
        new (m.searches + b) NearestSearch(own, codebook + b * s.codes * s.dims, s.codes, s.dims);
        const int64_t bad = NearestSearch::first_not_finite(own.norms, s.codes);
        JL_REQUIRE(bad < 0,
                   "vector_quantize_forward: codebook[%lld] is not finite, in head %lld and stage %lld",
                   static_cast<long long>(bad), static_cast<long long>(b / s.stages),
                   static_cast<long long>(b % s.stages));
    }
    float* errors = row_errors != nullptr ? row_errors : m.errors;
    const Forward pass = {s, x, codebook, row_mask, codes, q, errors, m};

    // Strips, as many as there are threads and memory, take the blocks in turn.
    const int64_t blocks = (s.rows + m.block - 1) / m.block;
    const int64_t room = (static_cast<char*>(workspace.data) + workspace.bytes - m.strips) / m.strip_bytes;
    int64_t strips = omp_get_max_threads();
    if (strips > room) strips = room;
    if (strips > blocks) strips = blocks;
    std::atomic<int64_t> next{0}, bad{s.rows};  // bad: the first row that is not finite
    parallel_for(strips, s.rows * books * s.codes * s.dims, [&](int64_t strip) {
        for (int64_t first = next++ * m.block; first < bad; first = next++ * m.block) {
            const int64_t count = first + m.block < s.rows ? m.block : s.rows - first;
            const int64_t found = pass.quantize(first, count, m.strips + strip * m.strip_bytes);
            for (int64_t before = bad; found >= 0 && found < before;)
                if (bad.compare_exchange_weak(before, found)) break;
        }
    });
    for (int64_t n = 0; n < s.rows && bad < s.rows; ++n)
        JL_REQUIRE((row_mask != nullptr && row_mask[n] == 0.0f) || row_is_finite(s, x, n),
                   "vector_quantize_forward: row %lld of x is not finite", static_cast<long long>(n));
    JL_REQUIRE(bad == s.rows,
               "vector_quantize_forward: a residual of row %lld of x is not finite: x and codebook are too "
               "large for f32",
               static_cast<long long>(bad));

    int32_t count = 0;
    for (int64_t n = 0; n < s.rows; ++n) count += codes[n * books] >= 0 ? 1 : 0;
    if (valid != nullptr) *valid = count;
    if (histogram != nullptr) {
        memset(histogram, 0, static_cast<size_t>(books * s.codes) * sizeof(int32_t));
        for (int64_t n = 0; n < s.rows; ++n)
            for (int64_t b = 0; b < books; ++b)
                if (codes[n * books + b] >= 0) ++histogram[b * s.codes + codes[n * books + b]];
    }
    double sum = 0.0;
    for (int64_t n = 0; n < s.rows; ++n) sum += errors[n];
    const double mean =
        count == 0 ? 0.0 : sum / (static_cast<double>(count) * static_cast<double>(s.heads * s.dims));
    if (codebook_loss != nullptr) *codebook_loss = static_cast<float>(mean);
    if (commitment != nullptr) *commitment = (beta == nullptr ? 1.0f : *beta) * static_cast<float>(mean);
    return JL_OK;
}

jl_status vector_quantize_usage(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                float* statistics, jl_stream) {
    if (const jl_status status = check_vector_quantize_usage(books, codes, histogram, seen, statistics))
        return status;
    for (int64_t b = 0; b < books; ++b, histogram += codes, seen += codes, statistics += 3) {
        double rows = 0.0, rows_seen = 0.0, used = 0.0;
        for (int64_t k = 0; k < codes; ++k) {
            const int64_t sum = static_cast<int64_t>(seen[k]) + histogram[k];
            seen[k] = static_cast<int32_t>(sum < INT32_MAX ? sum : INT32_MAX);
            rows += histogram[k];
            rows_seen += seen[k];
            used += seen[k] > 0 ? 1.0 : 0.0;
        }
        statistics[0] = perplexity(histogram, codes, rows);
        statistics[1] = perplexity(seen, codes, rows_seen);
        statistics[2] = static_cast<float>(used / static_cast<double>(codes));
    }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

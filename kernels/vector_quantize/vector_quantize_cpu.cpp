#include "vector_quantize.h"

#include "code_sums_cpu.h"
#include "nearest_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task of the cheap loops

// What follows from a row's code.
float quantize_row(const float* x, const float* e, float* q, int64_t dims) {
    if (q != nullptr) {
#pragma omp simd
        for (int64_t d = 0; d < dims; ++d) q[d] = e[d];  // rows are short: no call
    }
    return lane_sum(dims, [=](int64_t d) {
        const float difference = x[d] - e[d];
        return difference * difference;
    });
}

size_t sums_bytes(const jl_vector_quantize& s) {
    return NearestMemory::aligned(
        static_cast<int64_t>(code_sums_bytes(s.rows, s.codes, code_tile(s.codes), s.dims)));
}

// -sum p log p over counts that add up to `total`, as a perplexity.
float perplexity(const int32_t* counts, int64_t codes, double total) {
    if (total == 0.0) return 0.0f;
    double entropy = 0.0;
    for (int64_t k = 0; k < codes; ++k)
        if (counts[k] != 0) entropy -= counts[k] / total * std::log(counts[k] / total);
    return static_cast<float>(std::exp(entropy));
}

// Rows that are not needed, such as those of null, are nothing to loop over.
template <class Body>
void for_rows(const jl_vector_quantize& s, Body body) {
    const int64_t group = s.dims < kTile ? kTile / s.dims : 1;
    parallel_for((s.rows + group - 1) / group, s.rows * s.dims, [=](int64_t task) {
        const int64_t end = (task + 1) * group < s.rows ? (task + 1) * group : s.rows;
        for (int64_t n = task * group; n < end; ++n) body(n);
    });
}

// Names the first code that no entry has; -1 is a row that does not count.
jl_status check_codes(const char* operation, const jl_vector_quantize& s, const int32_t* codes) {
    for (int64_t n = 0; n < s.rows; ++n)
        JL_REQUIRE(codes[n] >= -1 && codes[n] < s.codes,
                   "%s: codes[%lld] is %d, but the codebook has %lld entries", operation,
                   static_cast<long long>(n), codes[n], static_cast<long long>(s.codes));
    return JL_OK;
}

}  // namespace

size_t vector_quantize_workspace(const jl_vector_quantize* shape) {
    const jl_vector_quantize& s = *shape;
    const size_t forward =
        static_cast<size_t>(NearestMemory::aligned(s.rows * 4)) + nearest_bytes(s.rows, s.codes, s.dims);
    const size_t sums = sums_bytes(s) + static_cast<size_t>(s.codes * s.dims) * sizeof(float);
    return kWorkspaceHeader + (forward > sums ? forward : sums);
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const void* x_given, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, void* q_given,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t*, jl_workspace workspace,
                                  jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_forward", shape, x_given, codebook, codes, workspace))
        return status;
    const jl_vector_quantize s = *shape;
    JL_REQUIRE(s.heads == 1 && s.stages == 1 && s.type == JL_F32 && s.rotate == 0,
               "vector_quantize: not yet");
    const float* x = static_cast<const float*>(x_given);
    char* memory = reinterpret_cast<char*>(workspace_floats(workspace));
    float* errors = row_errors != nullptr ? row_errors : reinterpret_cast<float*>(memory);
    const NearestMemory m(memory + NearestMemory::aligned(s.rows * 4), s.rows, s.codes, s.dims);
    const NearestSearch search(m, codebook, s.codes, s.dims);
    const int64_t bad_code = NearestSearch::first_not_finite(m.norms, s.codes);
    JL_REQUIRE(bad_code < 0, "vector_quantize_forward: codebook[%lld] is not finite",
               static_cast<long long>(bad_code));

    // Strips, as many as there are threads and memory, take the blocks in turn.
    const int64_t block = block_rows(s.rows, s.dims), blocks = (s.rows + block - 1) / block;
    const int64_t room = (static_cast<char*>(workspace.data) + workspace.bytes - m.strips) / m.strip_bytes;
    int64_t strips = omp_get_max_threads();
    if (strips > room) strips = room;
    if (strips > blocks) strips = blocks;
    std::atomic<int64_t> next{0};
    std::atomic<bool> finite{true};
    parallel_for(strips, s.rows * s.codes * s.dims, [&](int64_t strip) {
        for (int64_t b = next++; b < blocks && finite; b = next++) {
            const int64_t first = b * block, count = first + block < s.rows ? block : s.rows - first;
            if (!search.block(x + first * s.dims, row_mask == nullptr ? nullptr : row_mask + first, count,
                              m.strips + strip * m.strip_bytes, block, codes + first)) {
                finite = false;
                return;
            }
            for (int64_t n = first; n < first + count; ++n) {
                float* q = static_cast<float*>(q_given);
                float* to = q == nullptr ? nullptr : q + n * s.dims;
                if (codes[n] >= 0)
                    errors[n] = quantize_row(x + n * s.dims, codebook + codes[n] * s.dims, to, s.dims);
                else {
                    errors[n] = 0.0f;
                    if (to != nullptr) memset(to, 0, static_cast<size_t>(s.dims) * sizeof(float));
                }
            }
        }
    });
    for (int64_t n = 0; n < s.rows && !finite; ++n)
        JL_REQUIRE(
            (row_mask != nullptr && row_mask[n] == 0.0f) || norm_of(x + n * s.dims, s.dims) <= kLargestFinite,
            "vector_quantize_forward: row %lld of x is not finite", static_cast<long long>(n));

    int32_t count = 0;
    for (int64_t n = 0; n < s.rows; ++n) count += codes[n] >= 0 ? 1 : 0;
    if (valid != nullptr) *valid = count;
    if (histogram != nullptr) {
        memset(histogram, 0, static_cast<size_t>(s.codes) * sizeof(int32_t));
        for (int64_t n = 0; n < s.rows; ++n)
            if (codes[n] >= 0) ++histogram[codes[n]];
    }
    double sum = 0.0;
    for (int64_t n = 0; n < s.rows; ++n) sum += errors[n];
    const double mean = count == 0 ? 0.0 : sum / (static_cast<double>(count) * static_cast<double>(s.dims));
    if (codebook_loss != nullptr) *codebook_loss = static_cast<float>(mean);
    if (commitment != nullptr) *commitment = (beta == nullptr ? 1.0f : *beta) * static_cast<float>(mean);
    return JL_OK;
}

jl_status vector_quantize_backward(const jl_vector_quantize* shape, const void* x_given,
                                   const float* codebook, const int32_t* codes, const int32_t* valid,
                                   const float* beta, const void* d_q, const float* d_codebook_loss,
                                   const float* d_commitment, void* d_x, float* d_codebook,
                                   jl_workspace workspace, jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_backward", shape, x_given, codebook, codes, workspace))
        return status;
    JL_REQUIRE(valid != nullptr, "vector_quantize_backward: valid, which forward wrote, is needed");
    const jl_vector_quantize s = *shape;
    JL_REQUIRE(s.heads == 1 && s.stages == 1 && s.type == JL_F32 && s.rotate == 0,
               "vector_quantize: not yet");
    const float* x = static_cast<const float*>(x_given);
    if (const jl_status status = check_codes("vector_quantize_backward", s, codes)) return status;
    if (d_x != nullptr) {
        const float weight =
            d_commitment == nullptr ? 0.0f : *d_commitment * (beta == nullptr ? 1.0f : *beta);
        const float scale = mean_square_scale(weight, *valid, s.dims);
        for_rows(s, [=](int64_t n) {
            const float* from = x + n * s.dims;
            float* to = static_cast<float*>(d_x) + n * s.dims;
            if (codes[n] < 0) {
                memset(to, 0, static_cast<size_t>(s.dims) * sizeof(float));
                return;
            }
            const float* e = codebook + codes[n] * s.dims;
            if (d_q == nullptr) {
#pragma omp simd
                for (int64_t d = 0; d < s.dims; ++d) to[d] = scale * (from[d] - e[d]);
                return;
            }
            const float* g = static_cast<const float*>(d_q) + n * s.dims;
#pragma omp simd
            for (int64_t d = 0; d < s.dims; ++d) to[d] = g[d] + scale * (from[d] - e[d]);
        });
    }
    if (d_codebook != nullptr) {
        const CodeSort sort = code_sort_in(workspace_floats(workspace), s.rows, s.codes, code_tile(s.codes));
        code_sort(codes, sort);
        code_sums(x, codebook, sort, s.dims, d_codebook);
        const float scale =
            -mean_square_scale(d_codebook_loss == nullptr ? 0.0f : *d_codebook_loss, *valid, s.dims);
        parallel_for(s.codes, s.codes * s.dims, [=](int64_t k) {
#pragma omp simd
            for (int64_t d = 0; d < s.dims; ++d) d_codebook[k * s.dims + d] *= scale;
        });
    }
    return JL_OK;
}

jl_status vector_quantize_ema(const jl_vector_quantize* shape, const void* x_given, const int32_t* codes,
                              jl_vector_quantize_ema* state, const jl_random*, uint32_t, float* counts,
                              float* sums, float* codebook, jl_workspace workspace, jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_ema", shape, x_given, codebook, codes, workspace))
        return status;
    JL_REQUIRE(state != nullptr && counts != nullptr && sums != nullptr,
               "vector_quantize_ema: an array is null");
    const jl_vector_quantize s = *shape;
    JL_REQUIRE(s.heads == 1 && s.stages == 1 && s.type == JL_F32 && s.rotate == 0,
               "vector_quantize: not yet");
    const float* x = static_cast<const float*>(x_given);
    if (const jl_status status = check_codes("vector_quantize_ema", s, codes)) return status;
    const CodeSort sort = code_sort_in(workspace_floats(workspace), s.rows, s.codes, code_tile(s.codes));
    float* batch =
        reinterpret_cast<float*>(reinterpret_cast<char*>(workspace_floats(workspace)) + sums_bytes(s));
    code_sort(codes, sort);
    code_sums(x, nullptr, sort, s.dims, batch);
    const float decay = state->decay, rest = 1.0f - decay;
    const double epsilon = state->epsilon * (1.0 - std::pow(static_cast<double>(decay), ++state->step));
    double total = 0.0;
    for (int64_t k = 0; k < s.codes; ++k) {
        counts[k] = decay * counts[k] + rest * static_cast<float>(sort.starts[k + 1] - sort.starts[k]);
        total += counts[k];
    }
    const double smoothing = total / (total + static_cast<double>(s.codes) * epsilon);
    parallel_for(s.codes, s.codes * s.dims, [=](int64_t k) {
        const bool used = counts[k] > 0.0f;
        const float inverse = used ? static_cast<float>(1.0 / ((counts[k] + epsilon) * smoothing)) : 0.0f;
        float* sum = sums + k * s.dims;
        float* e = codebook + k * s.dims;
        const float* own = batch + k * s.dims;
#pragma omp simd
        for (int64_t d = 0; d < s.dims; ++d) sum[d] = decay * sum[d] + rest * own[d];
        if (!used) return;
#pragma omp simd
        for (int64_t d = 0; d < s.dims; ++d) e[d] = sum[d] * inverse;
    });
    return JL_OK;
}

jl_status vector_quantize_usage(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                float* statistics, jl_stream) {
    if (const jl_status status = check_vector_quantize_usage(books, codes, histogram, seen, statistics))
        return status;
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
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

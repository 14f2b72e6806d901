#include "residuals_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// One book's averages and entries.
struct Book {
    float *counts, *sums, *codebook;  // sums: or null
};

// Of 256 sums, codes k % 256 = i each, and then halves: as a block does on CUDA, to the same bit.
double count_total(const float* counts, int64_t codes) {
    double sums[256] = {};
    for (int64_t k = 0; k < codes; ++k) sums[k % 256] += counts[k];
    for (int width = 128; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) sums[i] += sums[i + width];
    return sums[0];
}

// Dead entries begin anew at rows of the batch. Returns how many.
int64_t revive(const Residuals& rows, const CodeSort& sort, float least, float mean, uint32_t bits,
               const Book& book) {
    const int64_t codes = rows.s.codes, dims = rows.s.dims, present = sort.starts[codes];
    int64_t dead = 0;
    for (int64_t k = 0; k < codes; ++k) dead += book.counts[k] < least ? 1 : 0;
    const int64_t pairs = dead < present ? dead : present;
    int64_t pair = 0, number = 0;  // of dead entries seen
    for (int64_t k = 0; k < codes && pair < pairs; ++k) {
        if (!(book.counts[k] < least) || number++ != revival_position(pair, bits, dead, pairs)) continue;
        const int64_t n = sort.order[revival_position(pair++, bits, present, pairs)];
        book.counts[k] = mean;
        for_columns(dims, [&](int64_t start, int64_t width) {
            float scratch[kColumns];
            const float* r = rows.row(n, start, width, scratch);
            for (int64_t d = 0; d < width; ++d) {
                book.codebook[k * dims + start + d] = r[d];
                if (book.sums != nullptr) book.sums[k * dims + start + d] = mean * r[d];
            }
        });
    }
    return pairs;
}

}  // namespace

jl_status vector_quantize_ema(const jl_vector_quantize* shape, const void* x, const int32_t* codes,
                              jl_vector_quantize_ema* state, const jl_random* random, uint32_t site,
                              float* counts, float* sums, float* codebook, jl_workspace workspace,
                              jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_ema", shape, x, codebook, codes, workspace))
        return status;
    JL_REQUIRE(state != nullptr && counts != nullptr, "vector_quantize_ema: state or counts are null");
    const jl_vector_quantize s = *shape;
    if (const jl_status status = check_codes("vector_quantize_ema", s, codes)) return status;
    float* memory = workspace_floats(workspace);
    float* batch = reinterpret_cast<float*>(reinterpret_cast<char*>(memory) + book_sums_bytes(s));
    const float decay = state->decay, rest = 1.0f - decay;
    const double epsilon = state->epsilon * (1.0 - std::pow(static_cast<double>(decay), ++state->step));
    // A stage asks for the entries of those before it as they were: the last comes first.
    for (int64_t b = s.heads * s.stages - 1; b >= 0; --b) {
        const Residuals rows = {s, x, codebook, codes, b / s.stages, b % s.stages};
        const Book book = {counts + b * s.codes, sums == nullptr ? nullptr : sums + b * s.codes * s.dims,
                           codebook + b * s.codes * s.dims};
        const CodeSort sort = sort_book(s, codes, b, memory);
        for (int64_t k = 0; k < s.codes; ++k)
            book.counts[k] = decayed_count(decay, book.counts[k], sort.starts[k + 1] - sort.starts[k]);
        const double total = count_total(book.counts, s.codes);
        if (sums != nullptr) {
            code_sums(rows, nullptr, sort, s.dims, batch);
            const double smoothing = total / (total + static_cast<double>(s.codes) * epsilon);
            parallel_for(s.codes, s.codes * s.dims, [=](int64_t k) {
                const float count = book.counts[k];
                const bool used = count > 0.0f;
                const float inverse = used ? static_cast<float>(1.0 / ((count + epsilon) * smoothing)) : 0.0f;
                float* sum = book.sums + k * s.dims;
                float* e = book.codebook + k * s.dims;
                const float* own = batch + k * s.dims;
#pragma omp simd
                for (int64_t d = 0; d < s.dims; ++d) sum[d] = decay * sum[d] + rest * own[d];
                if (!used) return;
#pragma omp simd
                for (int64_t d = 0; d < s.dims; ++d) e[d] = sum[d] * inverse;
            });
        }
        if (state->revive > 0.0f)
            state->revived +=
                static_cast<uint32_t>(revive(rows, sort, least_count(state->revive, total, s.codes),
                                             static_cast<float>(total / static_cast<double>(s.codes)),
                                             revival_bits(random, site, b), book));
    }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

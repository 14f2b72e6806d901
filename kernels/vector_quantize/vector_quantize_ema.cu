#include "residuals_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

// One book's averages and entries, and what its kernels tell each other.
struct Book {
    float *counts, *sums, *codebook;  // sums: or null
    float* batch;                     // the batch's sums [codes, dims]
    int32_t* reborn;                  // [codes]: the row that an entry begins anew at, or -1
    struct Smoothing {
        double epsilon, factor;
        float mean;
    } * smoothing;
    int64_t codes, dims;
};

// j < pairs whose dead entry is number `dead_before` of `dead`; -1: none.
__device__ int64_t pair_of(int64_t dead_before, uint32_t bits, int64_t dead, int64_t pairs) {
    const int64_t near = dead_before * pairs / dead;
    for (int64_t j = near > 0 ? near - 1 : 0; j <= near + 1 && j < pairs; ++j)
        if (revival_position(j, bits, dead, pairs) == dead_before) return j;
    return -1;
}

// One block: counts, what all entries are divided by, and which begin anew. Each thread has a range of neighbouring codes
// when the dead are numbered. `last`: of all books, when the step is done.
__global__ void counts_kernel(Book book, CodeSort sort, jl_vector_quantize_ema* state,
                              const jl_random* random, uint32_t site, int64_t number, bool last) {
    const float decay = state->decay;
    double sum = 0.0;
    for (int64_t k = threadIdx.x; k < book.codes; k += kBlock) {
        book.counts[k] = decayed_count(decay, book.counts[k], sort.starts[k + 1] - sort.starts[k]);
        sum += book.counts[k];
    }
    const double total = block_total<false>(sum);  // as count_total() on the CPU
    const float least = least_count(state->revive, total, book.codes);
    const float mean = static_cast<float>(total / static_cast<double>(book.codes));
    const int64_t range = (book.codes + kBlock - 1) / kBlock, first = threadIdx.x * range;
    const int64_t end = first + range < book.codes ? first + range : book.codes;
    const bool revives = state->revive > 0.0f;
    int32_t own = 0, dead = 0;
    for (int64_t k = first; k < end; ++k) own += revives && book.counts[k] < least ? 1 : 0;
    int64_t before = block_prefix(own, &dead);
    const int64_t present = sort.starts[book.codes], pairs = dead < present ? dead : present;
    const uint32_t bits = revival_bits(random, site, number);
    for (int64_t k = first; k < end; ++k) {
        book.reborn[k] = -1;
        if (!revives || !(book.counts[k] < least)) continue;
        const int64_t j = pairs == 0 ? -1 : pair_of(before, bits, dead, pairs);
        ++before;
        if (j >= 0) book.reborn[k] = sort.order[revival_position(j, bits, present, pairs)];
    }
    if (threadIdx.x != 0) return;
    const double epsilon = state->epsilon * (1.0 - pow(static_cast<double>(decay), state->step + 1.0));
    *book.smoothing = {epsilon, total / (total + static_cast<double>(book.codes) * epsilon), mean};
    state->revived += static_cast<uint32_t>(pairs);
    if (last) state->step += 1u;
}

// A thread takes an element of the codebook. The counts of entries that begin anew are set by the first of their row.
__global__ void entries_kernel(Residuals rows, Book book, const jl_vector_quantize_ema* state) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= book.codes * book.dims) return;
    const int64_t k = i / book.dims, n = book.reborn[k];
    if (n >= 0) {
        const float r = rows.value(n, i % book.dims), mean = book.smoothing->mean;
        book.codebook[i] = r;
        if (book.sums != nullptr) book.sums[i] = mean * r;
        if (i % book.dims == 0) book.counts[k] = mean;
        return;
    }
    if (book.sums == nullptr) return;
    const float count = book.counts[k];
    const float sum = state->decay * book.sums[i] + (1.0f - state->decay) * book.batch[i];
    book.sums[i] = sum;
    if (count > 0.0f)
        book.codebook[i] =
            sum * static_cast<float>(1.0 / ((count + book.smoothing->epsilon) * book.smoothing->factor));
}

}  // namespace

// The sort and sums, then what the kernels of one book tell each other.
size_t vector_quantize_learning_bytes(const jl_vector_quantize& s) {
    return book_sums_bytes(s) + aligned(sizeof(Book::Smoothing)) +
           aligned(static_cast<size_t>(s.codes) * sizeof(int32_t)) +
           static_cast<size_t>(s.codes * s.dims) * sizeof(float);
}

jl_status vector_quantize_ema(const jl_vector_quantize* shape, const void* x, const int32_t* codes,
                              jl_vector_quantize_ema* state, const jl_random* random, uint32_t site,
                              float* counts, float* sums, float* codebook, jl_workspace workspace,
                              jl_stream stream) {
    constexpr const char* kName = "vector_quantize_ema";
    if (const jl_status status = check_vector_quantize(kName, shape, x, codebook, codes, workspace))
        return status;
    JL_REQUIRE(state != nullptr && counts != nullptr, "%s: state or counts are null", kName);
    const jl_vector_quantize s = *shape;
    char* memory = workspace_bytes(workspace) + book_sums_bytes(s);
    Book book = {};
    book.smoothing = reinterpret_cast<Book::Smoothing*>(memory);
    book.reborn = reinterpret_cast<int32_t*>(memory + aligned(sizeof(Book::Smoothing)));
    book.batch = reinterpret_cast<float*>(reinterpret_cast<char*>(book.reborn) +
                                          aligned(static_cast<size_t>(s.codes) * sizeof(int32_t)));
    book.codes = s.codes;
    book.dims = s.dims;
    // A stage asks for the entries of those before it as they were: the last comes first.
    for (int64_t b = s.heads * s.stages - 1; b >= 0; --b) {
        book.counts = counts + b * s.codes;
        book.sums = sums == nullptr ? nullptr : sums + b * s.codes * s.dims;
        book.codebook = codebook + b * s.codes * s.dims;
        CodeSort sort;
        if (const jl_status status = sort_book(kName, s, codes, b, workspace, stream, &sort)) return status;
        const Residuals rows = {s, x, codebook, codes, b / s.stages, b % s.stages};
        if (sums != nullptr)
            if (const jl_status status = code_sums(kName, rows, nullptr, sort, s.dims, book.batch, stream))
                return status;
        if (const jl_status status = launch(kName, 1, kBlock, 0, stream, counts_kernel, book, sort, state,
                                            random, site, b, b == 0))
            return status;
        if (const jl_status status = launch(kName, blocks_of(s.codes * s.dims, kBlock), kBlock, 0, stream,
                                            entries_kernel, rows, book, state))
            return status;
    }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

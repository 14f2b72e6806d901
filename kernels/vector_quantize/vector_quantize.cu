#include "vector_quantize.h"

#include "code_sums_cuda.h"
#include "launch.h"
#include "nearest_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

// Sums over the rows of a block, then of all.
struct Partial {
    double errors, valid;
};

struct Totals {
    float *codebook_loss, *commitment;
    int32_t* valid;
    const float* beta;
};

// 64 rows a block: their codes, and what follows from these. The last block makes the totals.
__global__ void forward_kernel(jl_vector_quantize s, const float* __restrict__ x,
                               const float* __restrict__ codebook, const float* __restrict__ row_mask,
                               const double* __restrict__ norms, const CodebookSummary* __restrict__ summary,
                               int32_t* __restrict__ codes, float* __restrict__ q,
                               float* __restrict__ row_errors, int32_t* histogram, uint32_t* invalid,
                               Partial* partial, unsigned* counter, Totals totals) {
    JL_SHARED(SearchShared, shared_array, [1]);
    JL_SHARED(float, errors, [kTileSide]);
    JL_SHARED(int32_t, found, [kTileSide]);
    SearchShared* shared = &shared_array[0];
    const int64_t first = blockIdx.x * static_cast<int64_t>(kTileSide);
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const CodebookSummary book = *summary;
    if (book.finite != 0) sweep(x, first, s.rows, codebook, norms, s.codes, s.dims, book.scale, shared);
    __syncthreads();
    for (int r = warp; r < kTileSide; r += kWarps) {
        const int64_t n = first + r;
        const bool counts = n < s.rows && (row_mask == nullptr || row_mask[n] != 0.0f);  // alike in the warp
        int64_t code = -1;
        float error = 0.0f;
        if (counts) {
            const double norm = norm_of(x + n * s.dims, s.dims);
            const bool finite = book.finite != 0 && is_finite_norm(norm);
            if (finite)
                code =
                    settle(x + n * s.dims, norm, codebook, norms, s.codes, s.dims, book,
                           shared->best + r * kSlots, shared->second + r * kSlots, shared->code + r * kSlots);
            else if (lane == 0 && invalid != nullptr)
                atomicAdd(invalid, 1u);
            for (int64_t d = lane; d < s.dims; d += kWarp) {
                const float e = finite ? codebook[code * s.dims + d] : float_of_bits(0x7fc00000u);
                const float difference = x[n * s.dims + d] - e;
                error += difference * difference;
                if (q != nullptr) q[n * s.dims + d] = e;
            }
            error = warp_sum(error);
        } else if (n < s.rows && q != nullptr) {
            for (int64_t d = lane; d < s.dims; d += kWarp) q[n * s.dims + d] = 0.0f;
        }
        if (lane == 0) {
            errors[r] = error;
            found[r] = code >= 0 ? 1 : 0;
            if (n < s.rows) {
                codes[n] = static_cast<int32_t>(code);
                if (row_errors != nullptr) row_errors[n] = error;
            }
            if (code >= 0 && histogram != nullptr)
                atomicAdd(reinterpret_cast<unsigned*>(histogram) + code, 1u);
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        Partial own = {0.0, 0.0};
        for (int r = 0; r < kTileSide; ++r) own.errors += errors[r], own.valid += found[r];
        partial[blockIdx.x] = own;
    }
    if (!last_block(counter)) return;
    double sum = 0.0, valid = 0.0;
    for (int64_t b = threadIdx.x; b < gridDim.x; b += kBlock) {
        sum += __ldcg(&partial[b].errors);
        valid += __ldcg(&partial[b].valid);
    }
    sum = block_total<false>(sum);
    valid = block_total<false>(valid);
    if (threadIdx.x != 0) return;
    // NaN where rows are not finite, even if none is.
    const double mean = valid == 0.0 ? sum * 0.0 : sum / (valid * static_cast<double>(s.dims));
    const float beta = totals.beta == nullptr ? 1.0f : *totals.beta;
    if (totals.valid != nullptr) *totals.valid = static_cast<int32_t>(valid);
    if (totals.codebook_loss != nullptr) *totals.codebook_loss = static_cast<float>(mean);
    if (totals.commitment != nullptr) *totals.commitment = beta * static_cast<float>(mean);
}

__device__ float gradient_scale(const float* d_loss, const float* beta, const int32_t* valid, int64_t dims) {
    const float weight = d_loss == nullptr ? 0.0f : *d_loss * (beta == nullptr ? 1.0f : *beta);
    return mean_square_scale(weight, *valid, dims);
}

// A thread takes four neighbouring elements of a row.
__global__ void d_x_kernel(jl_vector_quantize s, const float* __restrict__ x,
                           const float* __restrict__ codebook, const int32_t* __restrict__ codes,
                           const int32_t* valid, const float* beta, const float* __restrict__ d_q,
                           const float* d_commitment, float* __restrict__ d_x) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x, across = (s.dims + 3) / 4;
    if (i >= s.rows * across) return;
    const int64_t n = i / across, d = i % across * 4, row = n * s.dims;
    const int width = s.dims - d < 4 ? static_cast<int>(s.dims - d) : 4;
    const int64_t code = codes[n];
    Quad out = {{0.0f, 0.0f, 0.0f, 0.0f}};
    if (code >= 0 && code < s.codes) {
        const float scale = gradient_scale(d_commitment, beta, valid, s.dims);
        if (d_q != nullptr) out = load_quad(d_q + row, d, width);
        if (scale != 0.0f) {
            const Quad from = load_quad(x + row, d, width), e = load_quad(codebook + code * s.dims, d, width);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) out.v[k] += scale * (from.v[k] - e.v[k]);
        }
    }
    store_quad(d_x + row, d, width, out);
}

__global__ void d_codebook_kernel(jl_vector_quantize s, const int32_t* valid, const float* d_codebook_loss,
                                  float* __restrict__ d_codebook) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < s.codes * s.dims) d_codebook[i] *= -gradient_scale(d_codebook_loss, nullptr, valid, s.dims);
}

// One block: counts, and what all entries are divided by.
struct Smoothing {
    double epsilon, factor;
};
__global__ void ema_counts_kernel(int64_t codes, const int32_t* __restrict__ starts,
                                  jl_vector_quantize_ema* state, float* __restrict__ counts,
                                  Smoothing* smoothing) {
    const float decay = state->decay, rest = 1.0f - decay;
    const double step = state->step + 1u;
    double sum = 0.0;
    for (int64_t k = threadIdx.x; k < codes; k += kBlock) {
        const float count = decay * counts[k] + rest * static_cast<float>(starts[k + 1] - starts[k]);
        counts[k] = count;
        sum += count;
    }
    const double total = block_total<false>(sum);
    if (threadIdx.x != 0) return;
    const double epsilon = state->epsilon * (1.0 - pow(static_cast<double>(decay), step));
    smoothing->epsilon = epsilon;
    smoothing->factor = total / (total + static_cast<double>(codes) * epsilon);
    state->step += 1u;
}

__global__ void ema_codebook_kernel(jl_vector_quantize s, const jl_vector_quantize_ema* state,
                                    const float* __restrict__ counts, const Smoothing* __restrict__ smoothing,
                                    const float* __restrict__ batch, float* __restrict__ sums,
                                    float* __restrict__ codebook) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= s.codes * s.dims) return;
    const float count = counts[i / s.dims], sum = state->decay * sums[i] + (1.0f - state->decay) * batch[i];
    sums[i] = sum;
    if (count > 0.0f)
        codebook[i] = sum * static_cast<float>(1.0 / ((count + smoothing->epsilon) * smoothing->factor));
}

// One block.
__global__ void usage_kernel(int64_t codes, const int32_t* __restrict__ histogram, int32_t* __restrict__ seen,
                             float* __restrict__ statistics) {
    double rows = 0.0, rows_seen = 0.0, used = 0.0;
    for (int64_t k = threadIdx.x; k < codes; k += kBlock) {
        const int64_t sum = static_cast<int64_t>(seen[k]) + histogram[k];
        seen[k] = static_cast<int32_t>(sum < INT32_MAX ? sum : INT32_MAX);
        rows += histogram[k];
        rows_seen += seen[k];
        used += seen[k] > 0 ? 1.0 : 0.0;
    }
    rows = block_total<false>(rows);
    rows_seen = block_total<false>(rows_seen);
    used = block_total<false>(used);
    double entropy = 0.0, entropy_seen = 0.0;
    for (int64_t k = threadIdx.x; k < codes; k += kBlock) {
        if (histogram[k] != 0) entropy -= histogram[k] / rows * log(histogram[k] / rows);
        if (seen[k] != 0) entropy_seen -= seen[k] / rows_seen * log(seen[k] / rows_seen);
    }
    entropy = block_total<false>(entropy);
    entropy_seen = block_total<false>(entropy_seen);
    if (threadIdx.x != 0) return;
    statistics[0] = rows == 0.0 ? 0.0f : static_cast<float>(exp(entropy));
    statistics[1] = rows_seen == 0.0 ? 0.0f : static_cast<float>(exp(entropy_seen));
    statistics[2] = static_cast<float>(used / static_cast<double>(codes));
}

unsigned blocks_of(int64_t items, int64_t a_block) {
    return static_cast<unsigned>(items == 0 ? 1 : (items + a_block - 1) / a_block);
}

size_t aligned(size_t bytes) { return (bytes + 255) / 256 * 256; }

size_t sums_bytes(const jl_vector_quantize& s) {
    return aligned(code_sums_bytes(s.rows, s.codes, code_tile(s.codes), s.dims));
}

char* workspace_bytes(jl_workspace w) { return reinterpret_cast<char*>(workspace_floats(w)); }

// What this file does not do yet.
jl_status check_plain(const char* operation, const jl_vector_quantize& s) {
    JL_REQUIRE(s.heads == 1 && s.stages == 1 && s.type == JL_F32 && s.rotate == 0,
               "%s: CUDA takes one head and one stage of f32, straight through", operation);
    return JL_OK;
}

// A sort by code at the front of the workspace.
CodeSort sort_in(const jl_vector_quantize& s, jl_workspace w) {
    return code_sort_in(workspace_bytes(w), s.rows, s.codes, code_tile(s.codes));
}

}  // namespace

// Forward: summary, norms, partial sums. The others: sort and sums, then smoothing and the batch's sums.
size_t vector_quantize_workspace(const jl_vector_quantize* shape) {
    const jl_vector_quantize& s = *shape;
    const size_t forward = aligned(sizeof(CodebookSummary)) +
                           aligned(static_cast<size_t>(s.codes) * sizeof(double)) +
                           blocks_of(s.rows, kTileSide) * sizeof(Partial);
    const size_t sums =
        sums_bytes(s) + aligned(sizeof(Smoothing)) + static_cast<size_t>(s.codes * s.dims) * sizeof(float);
    return kWorkspaceHeader + (forward > sums ? forward : sums);
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const void* x_given, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, void* q,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t* invalid,
                                  jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_forward";
    if (const jl_status status = check_vector_quantize(kName, shape, x_given, codebook, codes, workspace))
        return status;
    const jl_vector_quantize s = *shape;
    if (const jl_status status = check_plain(kName, s)) return status;
    const float* x = static_cast<const float*>(x_given);
    CodebookSummary* summary = reinterpret_cast<CodebookSummary*>(workspace_bytes(workspace));
    double* norms = reinterpret_cast<double*>(workspace_bytes(workspace) + aligned(sizeof(CodebookSummary)));
    Partial* partial = reinterpret_cast<Partial*>(reinterpret_cast<char*>(norms) +
                                                  aligned(static_cast<size_t>(s.codes) * sizeof(double)));
    unsigned* counter = workspace_counter(workspace);
    if (const jl_status status = launch(kName, blocks_of(s.codes, kWarps), kBlock, 0, stream, codebook_kernel,
                                        codebook, s.codes, s.dims, norms, histogram, summary, counter))
        return status;
    const Totals totals = {codebook_loss, commitment, valid, beta};
    return launch(kName, blocks_of(s.rows, kTileSide), kBlock, 0, stream, forward_kernel, s, x, codebook,
                  row_mask, norms, summary, codes, static_cast<float*>(q), row_errors, histogram, invalid,
                  partial, counter, totals);
}

jl_status vector_quantize_backward(const jl_vector_quantize* shape, const void* x_given,
                                   const float* codebook, const int32_t* codes, const int32_t* valid,
                                   const float* beta, const void* d_q, const float* d_codebook_loss,
                                   const float* d_commitment, void* d_x, float* d_codebook,
                                   jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_backward";
    if (const jl_status status = check_vector_quantize(kName, shape, x_given, codebook, codes, workspace))
        return status;
    JL_REQUIRE(valid != nullptr, "%s: valid, which forward wrote, is needed", kName);
    const jl_vector_quantize s = *shape;
    if (const jl_status status = check_plain(kName, s)) return status;
    const float* x = static_cast<const float*>(x_given);
    if (d_x != nullptr && s.rows > 0)
        if (const jl_status status =
                launch(kName, blocks_of(s.rows * ((s.dims + 3) / 4), kBlock), kBlock, 0, stream, d_x_kernel,
                       s, x, codebook, codes, valid, beta, static_cast<const float*>(d_q), d_commitment,
                       static_cast<float*>(d_x)))
            return status;
    if (d_codebook == nullptr) return JL_OK;
    const CodeSort sort = sort_in(s, workspace);
    if (const jl_status status = code_sort(kName, codes, sort, workspace_counter(workspace), stream))
        return status;
    if (const jl_status status = code_sums(kName, x, codebook, sort, s.dims, d_codebook, stream))
        return status;
    return launch(kName, blocks_of(s.codes * s.dims, kBlock), kBlock, 0, stream, d_codebook_kernel, s, valid,
                  d_codebook_loss, d_codebook);
}

jl_status vector_quantize_ema(const jl_vector_quantize* shape, const void* x_given, const int32_t* codes,
                              jl_vector_quantize_ema* state, const jl_random*, uint32_t, float* counts,
                              float* sums, float* codebook, jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_ema";
    if (const jl_status status = check_vector_quantize(kName, shape, x_given, codebook, codes, workspace))
        return status;
    JL_REQUIRE(state != nullptr && counts != nullptr && sums != nullptr, "%s: an array is null", kName);
    const jl_vector_quantize s = *shape;
    if (const jl_status status = check_plain(kName, s)) return status;
    const float* x = static_cast<const float*>(x_given);
    const CodeSort sort = sort_in(s, workspace);
    Smoothing* smoothing = reinterpret_cast<Smoothing*>(workspace_bytes(workspace) + sums_bytes(s));
    float* batch = reinterpret_cast<float*>(reinterpret_cast<char*>(smoothing) + aligned(sizeof(Smoothing)));
    if (const jl_status status = code_sort(kName, codes, sort, workspace_counter(workspace), stream))
        return status;
    if (const jl_status status = code_sums(kName, x, nullptr, sort, s.dims, batch, stream)) return status;
    if (const jl_status status = launch(kName, 1, kBlock, 0, stream, ema_counts_kernel, s.codes, sort.starts,
                                        state, counts, smoothing))
        return status;
    return launch(kName, blocks_of(s.codes * s.dims, kBlock), kBlock, 0, stream, ema_codebook_kernel, s,
                  state, counts, smoothing, batch, sums, codebook);
}

jl_status vector_quantize_usage(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                float* statistics, jl_stream stream) {
    if (const jl_status status = check_vector_quantize_usage(books, codes, histogram, seen, statistics))
        return status;
    JL_REQUIRE(books == 1, "vector_quantize_usage: CUDA takes one book");
    return launch("vector_quantize_usage", 1, kBlock, 0, stream, usage_kernel, codes, histogram, seen,
                  statistics);
}

}  // namespace jlatent::JL_TABLE

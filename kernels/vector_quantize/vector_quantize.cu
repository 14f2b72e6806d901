#include "vector_quantize.h"

#include "codebook_cuda.h"
#include "residuals_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

// What a row turns out to be.
enum Row : int32_t { kLeftOut, kCounts, kNotFinite };

// Sums over the rows of a block, then of all.
struct Partial {
    double errors, valid;
};

struct Forward {
    jl_vector_quantize s;
    const void* x;
    const float *row_mask, *beta;
    int32_t* codes;
    void* q;
    float *row_errors, *codebook_loss, *commitment;
    int32_t *histogram, *valid;
    uint32_t* invalid;
    float* scratch;  // [blocks, scratch_rows, dims], or null: rows of x will do for residuals
    int64_t scratch_rows;
    Partial* partial;  // [blocks]
};

struct ForwardShared {
    SearchShared search;
    Row row[kTileRows];
    float error[kTileRows];
    int32_t found[kTileRows];
};

// The rows of a tile, kRowLanes threads each: a warp has whole groups, and all of them go round equally often.
template <class Body>
__device__ void for_tile_rows(Body body) {
    for (int r = static_cast<int>(threadIdx.x) / kRowLanes; r < kTileRows; r += kBlock / kRowLanes) body(r);
}
// The columns of one of these threads, by four.
template <class Body>
__device__ void for_quads(int64_t dims, Body body) {
    for (int64_t d = threadIdx.x % kRowLanes * 4; d < dims; d += kRowLanes * 4) body(d, quad_width(dims, d));
}

// One block and tile: rows [first, first + kTileRows) that are there, through all heads and stages.
template <int kHeldSteps>
struct TilePass {
    const Forward& f;
    const Books& books;
    ForwardShared* shared;
    int64_t first;

    __device__ bool counts(int r) const { return shared->row[r] == kCounts; }

    __device__ void begin(bool books_are_finite) {
        const int r = static_cast<int>(threadIdx.x);
        if (r < kTileRows) {
            const int64_t n = first + r;
            const bool in = n < f.s.rows && (f.row_mask == nullptr || f.row_mask[n] != 0.0f);
            shared->row[r] = !in ? kLeftOut : books_are_finite ? kCounts : kNotFinite;
            shared->error[r] = 0.0f;
        }
        __syncthreads();
    }

    __device__ void head(int64_t h) {
        const jl_vector_quantize& s = f.s;
        const int64_t at = (first * s.heads + h) * s.dims;
        float* own = f.scratch == nullptr ? nullptr : f.scratch + blockIdx.x * f.scratch_rows * s.dims;
        const float* rows = static_cast<const float*>(f.x) + at;
        int64_t stride = s.heads * s.dims;
        if (s.type != JL_F32) {
            for_tile_rows([&](int r) {
                if (!counts(r)) return;
                for_quads(s.dims, [&](int64_t d, int width) {
                    store_quad(own + r * s.dims, d, width,
                               load_values(f.x, s.type, at + r * stride + d, width));
                });
            });
            rows = own;
            stride = s.dims;
            __syncthreads();
        }
        for (int64_t t = 0; t < s.stages; ++t) {
            const int64_t b = h * s.stages + t;
            const Book book = books.book(b);
            for_tile_rows([&](int r) { scale(rows + r * stride, book, r); });
            __syncthreads();
            sweep<kHeldSteps>(rows, stride, book, &shared->search);
            __syncthreads();
            settle_rows(
                rows, stride, book, [&](int r) { return counts(r); }, &shared->search, shared->found);
            __syncthreads();
            for_tile_rows([&](int r) {
                leave(rows + r * stride, book, b, t + 1 < s.stages ? own + r * s.dims : nullptr, r);
            });
            rows = own;
            stride = s.dims;
            __syncthreads();
        }
    }

    __device__ void scale(const float* row, const Book& book, int r) {
        const bool live = counts(r);
        const uint32_t largest = largest_bits(row, live ? f.s.dims : 0);
        const bool finite = largest < kInfiniteBits;
        const RowScale scale =
            scale_row(row, live && finite ? f.s.dims : 0, finite ? largest : 0, book.summary.exponent);
        if (threadIdx.x % kRowLanes != 0) return;
        shared->search.scale[r] = live && finite ? scale : RowScale{};
        if (live && !finite) shared->row[r] = kNotFinite;
    }

    // The code of a row, and what it leaves over, in `to` unless null.
    __device__ void leave(const float* row, const Book& book, int64_t b, float* to, int r) {
        const jl_vector_quantize& s = f.s;
        const bool live = counts(r);
        const int64_t code = live ? shared->found[r] : 0, n = first + r, books_a_row = s.heads * s.stages;
        const float* e = book.codebook + code * s.dims;
        float error = 0.0f;
        for_quads(live ? s.dims : 0, [&](int64_t d, int width) {
            Quad left = load_quad(row, d, width);
            const Quad entry = load_quad(e, d, width);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                left.v[k] -= entry.v[k];
                error += left.v[k] * left.v[k];
            }
            if (to != nullptr) store_quad(to, d, width, left);
            if (s.stages == 1 && f.q != nullptr)
                store_values(f.q, s.type, (n * s.heads + b) * s.dims + d, width, entry);
        });
        error = warp_sum(error, kRowLanes);
        if (!live || threadIdx.x % kRowLanes != 0) return;
        shared->error[r] += error;
        f.codes[n * books_a_row + b] = static_cast<int32_t>(code);
    }

    // What waits until it is known that no part of the row is bad: histogram, q of several stages, errors.
    __device__ void end(int r) {
        const jl_vector_quantize& s = f.s;
        const int64_t n = first + r, books_a_row = s.heads * s.stages;
        if (n >= s.rows) return;
        const Row row = shared->row[r];
        int32_t* codes = f.codes + n * books_a_row;
        for (int64_t b = threadIdx.x % kRowLanes; b < books_a_row; b += kRowLanes) {
            if (row != kCounts)
                codes[b] = -1;
            else if (f.histogram != nullptr)
                atomicAdd(reinterpret_cast<unsigned*>(f.histogram) + b * s.codes + codes[b], 1u);
        }
        if (f.q != nullptr && (row != kCounts || s.stages > 1))
            for (int64_t h = 0; h < s.heads; ++h)
                for_quads(s.dims, [&](int64_t d, int width) {
                    const float fill = row == kNotFinite ? float_of_bits(0x7fc00000u) : 0.0f;
                    Quad sum = {{fill, fill, fill, fill}};
                    for (int64_t t = 0; t < s.stages && row == kCounts; ++t) {
                        const int64_t b = h * s.stages + t;
                        const Quad e =
                            load_quad(books.codebook + (b * s.codes + codes[b]) * s.dims, d, width);
                        JL_UNROLL
                        for (int k = 0; k < 4; ++k) sum.v[k] = t == 0 ? e.v[k] : sum.v[k] + e.v[k];
                    }
                    store_values(f.q, s.type, (n * s.heads + h) * s.dims + d, width, sum);
                });
        if (threadIdx.x % kRowLanes != 0) return;
        if (row == kNotFinite) {
            shared->error[r] = float_of_bits(0x7fc00000u);
            if (f.invalid != nullptr) atomicAdd(f.invalid, 1u);
        }
        if (f.row_errors != nullptr) f.row_errors[n] = shared->error[r];
    }
};

// A fixed grid of blocks takes tiles of 128 rows in turn. The last block makes the totals.
template <int kHeldSteps>
__global__ void __launch_bounds__(kBlock, kHeldSteps == kChunkSteps ? 2 : 1)
    forward_kernel(Forward f, Books books, unsigned* counter) {
    JL_SHARED(ForwardShared, shared_array, [1]);
    JL_SHARED(unsigned, bad_books, [1]);
    ForwardShared* shared = &shared_array[0];
    if (threadIdx.x == 0) bad_books[0] = 0;
    __syncthreads();
    for (int64_t b = threadIdx.x; b < books.count; b += kBlock)
        if (books.summary[b].finite == 0) atomicAdd(bad_books, 1u);
    __syncthreads();
    const bool finite = bad_books[0] == 0;
    Partial own = {0.0, 0.0};  // of this thread's rows
    for (int64_t first = blockIdx.x * static_cast<int64_t>(kTileRows); first < f.s.rows;
         first += gridDim.x * static_cast<int64_t>(kTileRows)) {
        TilePass<kHeldSteps> pass = {f, books, shared, first};
        pass.begin(finite);
        for (int64_t h = 0; h < f.s.heads && finite; ++h) pass.head(h);
        for_tile_rows([&](int r) { pass.end(r); });
        __syncthreads();
        if (threadIdx.x < kTileRows) {
            own.errors += shared->error[threadIdx.x];
            own.valid += pass.counts(static_cast<int>(threadIdx.x)) ? 1.0 : 0.0;
        }
        __syncthreads();
    }
    const double errors = block_total<false>(own.errors), counted = block_total<false>(own.valid);
    if (threadIdx.x == 0) f.partial[blockIdx.x] = {errors, counted};
    if (!last_block(counter)) return;
    double sum = 0.0, valid = 0.0;
    for (int64_t b = threadIdx.x; b < gridDim.x; b += kBlock) {
        sum += __ldcg(&f.partial[b].errors);
        valid += __ldcg(&f.partial[b].valid);
    }
    sum = block_total<false>(sum);
    valid = block_total<false>(valid);
    if (threadIdx.x != 0) return;
    // NaN where rows are not finite, even if none is.
    const double mean = valid == 0.0 ? sum * 0.0 : sum / (valid * static_cast<double>(f.s.heads * f.s.dims));
    const float beta = f.beta == nullptr ? 1.0f : *f.beta;
    if (f.valid != nullptr) *f.valid = static_cast<int32_t>(valid);
    if (f.codebook_loss != nullptr) *f.codebook_loss = static_cast<float>(mean);
    if (f.commitment != nullptr) *f.commitment = beta * static_cast<float>(mean);
}

// One block a book.
__global__ void usage_kernel(int64_t codes, const int32_t* __restrict__ histogram, int32_t* __restrict__ seen,
                             float* __restrict__ statistics) {
    histogram += blockIdx.x * codes;
    seen += blockIdx.x * codes;
    statistics += blockIdx.x * int64_t{3};
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

unsigned forward_blocks(const jl_vector_quantize& s) {
    return fixed_grid((s.rows + kTileRows - 1) / kTileRows, 2);
}

// Where forward keeps what it does: partial sums, residuals, then the books.
struct ForwardMemory {
    Partial* partial;
    float* scratch;  // or null
    int64_t scratch_rows;
    Books books;
    size_t bytes;

    ForwardMemory(char* memory, const jl_vector_quantize& s, const float* codebook)
        : scratch_rows(s.rows < kTileRows ? s.rows : kTileRows) {
        const size_t blocks = forward_blocks(s);
        const bool apart = s.stages > 1 || s.type != JL_F32;
        const size_t sums = aligned(blocks * sizeof(Partial));
        const size_t rows =
            apart ? aligned(blocks * static_cast<size_t>(scratch_rows * s.dims) * sizeof(float)) : 0;
        partial = reinterpret_cast<Partial*>(memory);
        scratch = apart ? reinterpret_cast<float*>(memory + sums) : nullptr;
        books = books_in(memory + sums + rows, codebook, s.heads * s.stages, s.codes, s.dims, &bytes);
        bytes += sums + rows;
    }
};

}  // namespace

size_t vector_quantize_workspace(const jl_vector_quantize* shape) {
    const jl_vector_quantize& s = *shape;
    const size_t forward = ForwardMemory(nullptr, s, nullptr).bytes;
    const size_t learning = vector_quantize_learning_bytes(s);
    return kWorkspaceHeader + (forward > learning ? forward : learning);
}

jl_status vector_quantize_forward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                  const float* row_mask, const float* beta, int32_t* codes, void* q,
                                  float* row_errors, float* codebook_loss, float* commitment,
                                  int32_t* histogram, int32_t* valid, uint32_t* invalid,
                                  jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_forward";
    if (const jl_status status = check_vector_quantize(kName, shape, x, codebook, codes, workspace))
        return status;
    const ForwardMemory m(workspace_bytes(workspace), *shape, codebook);
    unsigned* counter = workspace_counter(workspace);
    if (const jl_status status = prepare_books(kName, m.books, histogram, counter, stream)) return status;
    const Forward f = {*shape, x,          row_mask,      beta,           codes,
                       q,      row_errors, codebook_loss, commitment,     histogram,
                       valid,  invalid,    m.scratch,     m.scratch_rows, m.partial};
    const int64_t padded = m.books.padded;
    const auto kernel = padded <= kChunkDims       ? forward_kernel<kChunkSteps>
                        : padded <= 2 * kChunkDims ? forward_kernel<2 * kChunkSteps>
                        : padded <= 4 * kChunkDims ? forward_kernel<4 * kChunkSteps>
                                                   : forward_kernel<0>;
    return launch(kName, forward_blocks(*shape), kBlock, 0, stream, kernel, f, m.books, counter);
}

jl_status vector_quantize_usage(int64_t books, int64_t codes, const int32_t* histogram, int32_t* seen,
                                float* statistics, jl_stream stream) {
    if (const jl_status status = check_vector_quantize_usage(books, codes, histogram, seen, statistics))
        return status;
    if (books == 0) return JL_OK;
    return launch("vector_quantize_usage", static_cast<unsigned>(books), kBlock, 0, stream, usage_kernel,
                  codes, histogram, seen, statistics);
}

}  // namespace jlatent::JL_TABLE

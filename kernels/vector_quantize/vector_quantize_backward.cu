#include "residuals_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int kHeadLanes = 8;  // that share a head of a row

__device__ float gradient_scale(const float* d_loss, const float* beta, const int32_t* valid,
                                int64_t row_dims) {
    const float weight = d_loss == nullptr ? 0.0f : *d_loss * (beta == nullptr ? 1.0f : *beta);
    return mean_square_scale(weight, *valid, row_dims);
}

// Columns of a head: x, the total q of all stages, and the sum of their residuals.
struct Columns {
    Quad x, q, residuals;

    __device__ Columns(const Residuals& rows, int64_t n, int64_t d, int width)
        : x(load_values(rows.x, rows.s.type, rows.at(n) + d, width)), q{}, residuals{} {
        Quad r = x;
        for (int64_t t = 0; t < rows.s.stages; ++t) {
            const float* entry = rows.entry(n, t);
            if (entry == nullptr) continue;
            const Quad e = load_quad(entry, d, width);
            JL_UNROLL
            for (int k = 0; k < 4; ++k) {
                r.v[k] -= e.v[k];
                residuals.v[k] += r.v[k];
                q.v[k] += e.v[k];
            }
        }
    }
};

__device__ double head_sum(double v) {
    for (int offset = kHeadLanes / 2; offset > 0; offset /= 2) v += __shfl_xor_sync(0xffffffffu, v, offset);
    return v;
}

// The rotation trick's gradient as one sum: T = d d_q + x x + q q. By all lanes of the warp; dims = 0 for a head that
// does not count.
struct Rotation {
    double d, x, q;
};
__device__ Rotation rotation(const Residuals& rows, const void* d_q, int64_t n, int64_t dims) {
    const int64_t first = threadIdx.x % kHeadLanes * 4;
    double xx = 0.0, qq = 0.0, xd = 0.0, qd = 0.0, square = 0.0;
    for (int64_t d = first; d < dims; d += kHeadLanes * 4) {
        const int width = quad_width(dims, d);
        const Columns c(rows, n, d, width);
        const Quad given = load_values(d_q, rows.s.type, rows.at(n) + d, width);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const double x = c.x.v[k], q = c.q.v[k], g = given.v[k];
            xx += x * x, qq += q * q, xd += x * g, qd += q * g;
        }
    }
    xx = head_sum(xx), qq = head_sum(qq), xd = head_sum(xd), qd = head_sum(qd);
    const double of_x = xx == 0.0 ? 0.0 : 1.0 / sqrt(xx), of_q = qq == 0.0 ? 0.0 : 1.0 / sqrt(qq);
    // |x^ + q^|^2 by itself: 2 + 2 <x^, q^> would cancel.
    for (int64_t d = first; d < dims; d += kHeadLanes * 4) {
        const Columns c(rows, n, d, quad_width(dims, d));
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const double u = c.x.v[k] * of_x + c.q.v[k] * of_q;
            square += u * u;
        }
    }
    square = head_sum(square);
    if (xx == 0.0 || qq == 0.0 || square <= 1e-24) return {1.0, 0.0, 0.0};
    const double lambda = sqrt(qq) * of_x, along = 2.0 * (xd * of_x + qd * of_q) / square;
    return {lambda, lambda * of_x * (2.0 * qd * of_q - along), -lambda * of_q * along};
}

// kHeadLanes threads take a head of a row.
__global__ void d_x_kernel(Residuals rows, const int32_t* valid, const float* beta,
                           const void* __restrict__ d_q, const float* d_commitment, void* __restrict__ d_x) {
    const jl_vector_quantize& s = rows.s;
    const int64_t item = (blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x) / kHeadLanes;
    const bool there = item < s.rows * s.heads;
    const int64_t n = there ? item / s.heads : 0;
    rows.head = item % s.heads;
    const bool counts = there && rows.entry(n, 0) != nullptr;
    Rotation t = {1.0, 0.0, 0.0};
    const bool rotates = s.rotate != 0 && d_q != nullptr;
    if (rotates) t = rotation(rows, d_q, n, counts ? s.dims : 0);
    if (!there) return;
    const float scale = gradient_scale(d_commitment, beta, valid, s.heads * s.dims);
    for (int64_t d = threadIdx.x % kHeadLanes * 4; d < s.dims; d += kHeadLanes * 4) {
        const int width = quad_width(s.dims, d);
        Quad out = {{0.0f, 0.0f, 0.0f, 0.0f}};
        if (counts) {
            if (d_q != nullptr) out = load_values(d_q, s.type, rows.at(n) + d, width);
            if (rotates || scale != 0.0f) {
                const Columns c(rows, n, d, width);
                JL_UNROLL
                for (int k = 0; k < 4; ++k) {
                    if (rotates)
                        out.v[k] = static_cast<float>(t.d * out.v[k] + t.x * c.x.v[k] + t.q * c.q.v[k]);
                    out.v[k] += scale * c.residuals.v[k];
                }
            }
        }
        store_values(d_x, s.type, rows.at(n) + d, width, out);
    }
}

__global__ void d_codebook_kernel(int64_t count, int64_t row_dims, const int32_t* valid,
                                  const float* d_codebook_loss, float* __restrict__ d_codebook) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i < count) d_codebook[i] *= -gradient_scale(d_codebook_loss, nullptr, valid, row_dims);
}

}  // namespace

jl_status vector_quantize_backward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                   const int32_t* codes, const int32_t* valid, const float* beta,
                                   const void* d_q, const float* d_codebook_loss, const float* d_commitment,
                                   void* d_x, float* d_codebook, jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "vector_quantize_backward";
    if (const jl_status status = check_vector_quantize(kName, shape, x, codebook, codes, workspace))
        return status;
    JL_REQUIRE(valid != nullptr, "%s: valid, which forward wrote, is needed", kName);
    const jl_vector_quantize s = *shape;
    const int64_t books = s.heads * s.stages, book_size = s.codes * s.dims;
    if (d_x != nullptr && s.rows > 0) {
        const Residuals rows = {s, x, codebook, codes, 0, s.stages};
        if (const jl_status status = launch(kName, blocks_of(s.rows * s.heads * kHeadLanes, kBlock), kBlock,
                                            0, stream, d_x_kernel, rows, valid, beta, d_q, d_commitment, d_x))
            return status;
    }
    if (d_codebook == nullptr) return JL_OK;
    for (int64_t b = 0; b < books; ++b) {
        CodeSort sort;
        if (const jl_status status = sort_book(kName, s, codes, b, workspace, stream, &sort)) return status;
        const Residuals rows = {s, x, codebook, codes, b / s.stages, b % s.stages};
        if (const jl_status status = code_sums(kName, rows, codebook + b * book_size, sort, s.dims,
                                               d_codebook + b * book_size, stream))
            return status;
    }
    return launch(kName, blocks_of(books * book_size, kBlock), kBlock, 0, stream, d_codebook_kernel,
                  books * book_size, s.heads * s.dims, valid, d_codebook_loss, d_codebook);
}

}  // namespace jlatent::JL_TABLE

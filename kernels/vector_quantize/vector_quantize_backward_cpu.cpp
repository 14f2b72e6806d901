#include "residuals_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 4096;  // elements a task of d_x

// Rows that are not needed, such as those of null, are nothing to loop over.
template <class Body>
void for_rows(const jl_vector_quantize& s, Body body) {
    const int64_t dims = s.heads * s.dims, group = dims < kTile ? kTile / dims : 1;
    parallel_for((s.rows + group - 1) / group, s.rows * dims * s.stages, [=](int64_t task) {
        const int64_t end = (task + 1) * group < s.rows ? (task + 1) * group : s.rows;
        for (int64_t n = task * group; n < end; ++n) body(n);
    });
}

// Columns of a head: x, the total q of all stages where it is asked for, and the sum of their residuals.
struct Columns {
    float x[kColumns], q[kColumns], residuals[kColumns];

    template <class Width>
    Columns(const Residuals& rows, int64_t n, int64_t start, Width width, bool total) {
        const float* from = widened(rows.x, rows.s.type, rows.at(n) + start, width, x);
        const float* first = rows.entry(n, 0) + start;
#pragma omp simd
        for (int64_t d = 0; d < width; ++d) {
            x[d] = from[d];
            q[d] = first[d];
            residuals[d] = x[d] - q[d];
        }
        if (rows.s.stages == 1) return;
        float r[kColumns];
        memcpy(r, residuals, sizeof r);
        for (int64_t t = 1; t < rows.s.stages; ++t) {
            const float* e = rows.entry(n, t) + start;
#pragma omp simd
            for (int64_t d = 0; d < width; ++d) {
                r[d] -= e[d];
                residuals[d] += r[d];
            }
            if (!total) continue;
#pragma omp simd
            for (int64_t d = 0; d < width; ++d) q[d] += e[d];
        }
    }
};

// The rotation trick's gradient as one sum: T = d d_q + x x + q q.
struct Rotation {
    double d, x, q;
};
Rotation rotation(const Residuals& rows, const void* d_q, int64_t n) {
    const int64_t dims = rows.s.dims;
    double xx = 0.0, qq = 0.0, xd = 0.0, qd = 0.0, square = 0.0;
    for_columns(dims, [&](int64_t start, auto width) {
        const Columns c(rows, n, start, width, true);
        float scratch[kColumns];
        const float* given = widened(d_q, rows.s.type, rows.at(n) + start, width, scratch);
#pragma omp simd reduction(+ : xx, qq, xd, qd)
        for (int64_t i = 0; i < width; ++i) {
            const double x = c.x[i], q = c.q[i], d = given[i];
            xx += x * x, qq += q * q, xd += x * d, qd += q * d;
        }
    });
    const Rotation straight = {1.0, 0.0, 0.0};
    if (xx == 0.0 || qq == 0.0) return straight;
    const double of_x = 1.0 / std::sqrt(xx), of_q = 1.0 / std::sqrt(qq);
    // |x^ + q^|^2 by itself: 2 + 2 <x^, q^> would cancel.
    for_columns(dims, [&](int64_t start, auto width) {
        const Columns c(rows, n, start, width, true);
#pragma omp simd reduction(+ : square)
        for (int64_t i = 0; i < width; ++i) {
            const double u = c.x[i] * of_x + c.q[i] * of_q;
            square += u * u;
        }
    });
    if (square <= 1e-24) return straight;
    const double lambda = std::sqrt(qq) * of_x, along = 2.0 * (xd * of_x + qd * of_q) / square;
    return {lambda, lambda * of_x * (2.0 * qd * of_q - along), -lambda * of_q * along};
}

}  // namespace

jl_status vector_quantize_backward(const jl_vector_quantize* shape, const void* x, const float* codebook,
                                   const int32_t* codes, const int32_t* valid, const float* beta,
                                   const void* d_q, const float* d_codebook_loss, const float* d_commitment,
                                   void* d_x, float* d_codebook, jl_workspace workspace, jl_stream) {
    if (const jl_status status =
            check_vector_quantize("vector_quantize_backward", shape, x, codebook, codes, workspace))
        return status;
    JL_REQUIRE(valid != nullptr, "vector_quantize_backward: valid, which forward wrote, is needed");
    const jl_vector_quantize s = *shape;
    if (const jl_status status = check_codes("vector_quantize_backward", s, codes)) return status;
    const int64_t row_dims = s.heads * s.dims;
    if (d_x != nullptr) {
        const float weight =
            d_commitment == nullptr ? 0.0f : *d_commitment * (beta == nullptr ? 1.0f : *beta);
        const float scale = mean_square_scale(weight, *valid, row_dims);
        for_rows(s, [=](int64_t n) {
            if (codes[n * s.heads * s.stages] < 0) {
                const int64_t bytes = row_dims * bytes_of(s.type);
                memset(static_cast<char*>(d_x) + n * bytes, 0, static_cast<size_t>(bytes));
                return;
            }
            for (int64_t h = 0; h < s.heads; ++h) {
                const Residuals rows = {s, x, codebook, codes, h, s.stages};
                const bool rotates = s.rotate != 0 && d_q != nullptr;
                const Rotation t = rotates ? rotation(rows, d_q, n) : Rotation{1.0, 0.0, 0.0};
                for_columns(s.dims, [&](int64_t start, auto width) {
                    const Columns c(rows, n, start, width, rotates);
                    float scratch[kColumns] = {}, out[kColumns];
                    const float* d =
                        d_q == nullptr ? scratch : widened(d_q, s.type, rows.at(n) + start, width, scratch);
                    if (rotates)
#pragma omp simd
                        for (int64_t i = 0; i < width; ++i)
                            out[i] = static_cast<float>(t.d * d[i] + t.x * c.x[i] + t.q * c.q[i]) +
                                     scale * c.residuals[i];
                    else
#pragma omp simd
                        for (int64_t i = 0; i < width; ++i) out[i] = d[i] + scale * c.residuals[i];
                    store(out, d_x, s.type, rows.at(n) + start, width);
                });
            }
        });
    }
    if (d_codebook == nullptr) return JL_OK;
    const float weight = d_codebook_loss == nullptr ? 0.0f : *d_codebook_loss;
    const float scale = -mean_square_scale(weight, *valid, row_dims);
    for (int64_t book = 0; book < s.heads * s.stages; ++book) {
        const CodeSort sort = sort_book(s, codes, book, workspace_floats(workspace));
        const Residuals rows = {s, x, codebook, codes, book / s.stages, book % s.stages};
        float* out = d_codebook + book * s.codes * s.dims;
        code_sums(rows, codebook + book * s.codes * s.dims, sort, s.dims, out);
        parallel_for(s.codes, s.codes * s.dims, [=](int64_t k) {
#pragma omp simd
            for (int64_t d = 0; d < s.dims; ++d) out[k * s.dims + d] *= scale;
        });
    }
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

// Forward and backward passes with all their outputs, and what must come out of them given the codes.
#pragma once
#include "vector_quantize_reference.h"

namespace jlatent::test {
namespace {

using Integers = Array<int32_t>;

// The extents of a shape, as the reference counts.
struct Extents {
    size_t rows, heads, stages, codes, dims;

    explicit Extents(const jl_vector_quantize& s)
        : rows(static_cast<size_t>(s.rows)),
          heads(static_cast<size_t>(s.heads)),
          stages(static_cast<size_t>(s.stages)),
          codes(static_cast<size_t>(s.codes)),
          dims(static_cast<size_t>(s.dims)) {}
    size_t books() const { return heads * stages; }
    size_t values() const { return rows * heads * dims; }
    size_t entries() const { return books() * codes * dims; }
};

// ---- rows of either type ----

inline uint16_t to_bf16(float value) {  // to the nearest, ties to even; finite values only
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

inline float rounded(int32_t type, float value) {
    if (type == JL_F32 || !std::isfinite(value)) return value;
    const uint32_t bits = static_cast<uint32_t>(to_bf16(value)) << 16;
    memcpy(&value, &bits, 4);
    return value;
}

inline Matrix rounded(int32_t type, Matrix values) {
    for (float& v : values) v = rounded(type, v);
    return values;
}

// An array of f32 or bf16, for values that the type holds.
class Rows {
  public:
    Rows(int32_t type, const Matrix& values, size_t shift = 0)
        : type_(type),
          floats_(type == JL_F32 ? values : Matrix(), shift),
          halves_(halves(type, values), shift) {}
    static Rows output(int32_t type, size_t count, size_t shift = 0) {
        return {type, Floats::output(type == JL_F32 ? count : 0, shift),
                Array<uint16_t>::output(type == JL_F32 ? 0 : count, shift)};
    }
    void* data() { return type_ == JL_F32 ? static_cast<void*>(floats_.data()) : halves_.data(); }
    Matrix read() {
        if (type_ == JL_F32) return floats_.read();
        Matrix values;
        for (const uint16_t half : halves_.read()) {
            const uint32_t bits = static_cast<uint32_t>(half) << 16;
            values.push_back(0.0f);
            memcpy(&values.back(), &bits, 4);
        }
        return values;
    }

  private:
    Rows(int32_t type, Floats floats, Array<uint16_t> halves)
        : type_(type), floats_(std::move(floats)), halves_(std::move(halves)) {}
    static std::vector<uint16_t> halves(int32_t type, const Matrix& values) {
        std::vector<uint16_t> all;
        for (size_t i = 0; i < values.size() && type != JL_F32; ++i)
            all.push_back(std::isfinite(values[i]) ? to_bf16(values[i]) : 0x7fc0);
        return all;
    }

    int32_t type_;
    Floats floats_;
    Array<uint16_t> halves_;
};

// ---- one forward pass, all outputs ----

struct Forward {
    std::vector<int32_t> codes, histogram;
    Matrix q, row_errors;
    float codebook_loss, commitment;
    int32_t valid;
};

inline void forward(const jl_vector_quantize& s, const Matrix& x, const Matrix& codebook, const Matrix* mask,
                    float beta, size_t shift, Forward* f) {
    const Extents n(s);
    Rows x_array(s.type, x, shift);
    Floats codebook_array(codebook, shift), beta_array({beta});
    Floats mask_array(mask == nullptr ? Matrix() : *mask);
    auto codes = Integers::output(n.rows * n.books()), histogram = Integers::output(n.books() * n.codes),
         valid = Integers::output(1);
    auto q = Rows::output(s.type, x.size(), shift);
    auto row_errors = Floats::output(n.rows), codebook_loss = Floats::output(1),
         commitment = Floats::output(1);
    Array<uint32_t> invalid(std::vector<uint32_t>{3});
    Workspace w(kernels().vector_quantize_workspace(&s));
    for (int repeat = 0; repeat < 2; ++repeat)  // the workspace is ready again; the bits are the same
        ASSERT_OK(kernels().vector_quantize_forward(
            &s, x_array.data(), codebook_array.data(), mask == nullptr ? nullptr : mask_array.data(),
            beta_array.data(), codes.data(), q.data(), repeat == 0 ? nullptr : row_errors.data(),
            codebook_loss.data(), commitment.data(), histogram.data(), valid.data(), invalid.data(), w.get(),
            stream()));
    EXPECT_EQ(invalid.read()[0], 3u);
    *f = {codes.read(),         histogram.read(), q.read(), row_errors.read(), codebook_loss.read()[0],
          commitment.read()[0], valid.read()[0]};
}

// ---- what follows from the codes ----

// Residuals r_0 to r_S and the sum of the entries in f32, 0 where a row does not count.
struct Residuals {
    std::vector<Matrix> r;
    Matrix q;

    Residuals(const jl_vector_quantize& s, const Matrix& x, const Matrix& codebook,
              const std::vector<int32_t>& codes)
        : r(static_cast<size_t>(s.stages) + 1, Matrix(x.size())), q(x.size()) {
        const Extents n(s);
        for (size_t i = 0; i < x.size(); ++i) {
            const size_t head = i / n.dims;  // of all rows
            if (codes[head * n.stages] < 0) continue;
            r[0][i] = x[i];
            for (size_t t = 0; t < n.stages; ++t) {
                const size_t book = head % n.heads * n.stages + t,
                             code = static_cast<size_t>(codes[head * n.stages + t]);
                const float e = codebook[(book * n.codes + code) * n.dims + i % n.dims];
                r[t + 1][i] = r[t][i] - e;
                q[i] = t == 0 ? e : q[i] + e;
            }
        }
    }
};

inline void check_codes(const jl_vector_quantize& s, const Matrix& x, const Matrix& codebook,
                        const Matrix* mask, const std::vector<int32_t>& codes) {
    const Extents n(s);
    for (size_t row = 0; row < n.rows; ++row)
        for (size_t b = 0; b < n.books(); ++b)
            ASSERT_EQ(codes[row * n.books() + b] < 0, mask != nullptr && (*mask)[row] == 0.0f) << row;
    const Residuals residuals(s, x, codebook, codes);
    for (size_t b = 0; b < n.books(); ++b) {
        const auto begin = codebook.begin() + static_cast<std::ptrdiff_t>(b * n.codes * n.dims);
        const Matrix book(begin, begin + static_cast<std::ptrdiff_t>(n.codes * n.dims));
        for (size_t row = 0; row < n.rows; ++row) {
            const int32_t code = codes[row * n.books() + b];
            const size_t at = (row * n.heads + b / n.stages) * n.dims;
            if (code < 0) continue;
            ASSERT_EQ(code, nearest(&residuals.r[b % n.stages][at], book, n.codes, n.dims))
                << "row " << row << ", head " << b / n.stages << ", stage " << b % n.stages;
        }
    }
}

// Everything that follows from the codes.
inline void check_outputs(const jl_vector_quantize& s, const Matrix& x, const Matrix& codebook, float beta,
                          const Forward& f) {
    const Extents n(s);
    const Residuals residuals(s, x, codebook, f.codes);
    std::vector<int32_t> histogram(f.histogram.size());
    std::vector<double> row_errors(n.rows);
    double sum = 0.0;
    int32_t valid = 0;
    for (size_t row = 0; row < n.rows; ++row) {
        if (f.codes[row * n.books()] < 0) continue;
        ++valid;
        for (size_t b = 0; b < n.books(); ++b)
            ++histogram[b * n.codes + static_cast<size_t>(f.codes[row * n.books() + b])];
        for (size_t t = 1; t <= n.stages; ++t)
            for (size_t i = row * n.heads * n.dims; i < (row + 1) * n.heads * n.dims; ++i)
                row_errors[row] += std::pow(static_cast<double>(residuals.r[t][i]), 2);
        sum += row_errors[row];
    }
    const double mean = valid == 0 ? 0.0 : sum / (valid * static_cast<double>(n.heads * n.dims));
    EXPECT_EQ(f.histogram, histogram);
    EXPECT_EQ(f.valid, valid);
    EXPECT_EQ(f.q, rounded(s.type, residuals.q));
    EXPECT_CLOSE(f.row_errors, row_errors, 1e-5, 1e-37);
    EXPECT_CLOSE(Matrix{f.codebook_loss}, std::vector<double>{mean}, 1e-5, 1e-37);
    EXPECT_CLOSE(Matrix{f.commitment}, std::vector<double>{mean * beta}, 1e-5, 1e-37);
}

// ---- one backward pass ----

struct Backward {
    Matrix d_x, d_codebook;
};

inline void backward(const jl_vector_quantize& s, const Matrix& x, const Matrix& codebook,
                     const std::vector<int32_t>& codes, int32_t valid, const float* beta, const Matrix* d_q,
                     const float* d_codebook_loss, const float* d_commitment, Backward* b) {
    const auto scalar = [](const float* value) { return Matrix{value == nullptr ? 0.0f : *value}; };
    Rows x_array(s.type, x), d_q_array(s.type, d_q == nullptr ? Matrix() : *d_q);
    Floats codebook_array(codebook), beta_array(scalar(beta)), of_codebook(scalar(d_codebook_loss)),
        of_commitment(scalar(d_commitment));
    Integers code_array(codes), valid_array({valid});
    auto d_x = Rows::output(s.type, x.size());
    auto d_codebook = Floats::output(codebook.size());
    Workspace w(kernels().vector_quantize_workspace(&s));
    for (int repeat = 0; repeat < 2; ++repeat)
        ASSERT_OK(kernels().vector_quantize_backward(
            &s, x_array.data(), codebook_array.data(), code_array.data(), valid_array.data(),
            beta == nullptr ? nullptr : beta_array.data(), d_q == nullptr ? nullptr : d_q_array.data(),
            d_codebook_loss == nullptr ? nullptr : of_codebook.data(),
            d_commitment == nullptr ? nullptr : of_commitment.data(), d_x.data(), d_codebook.data(), w.get(),
            stream()));
    *b = {d_x.read(), d_codebook.read()};
}

}  // namespace
}  // namespace jlatent::test

// Heads, stages, bf16 and the rotation trick, against the formulas of vector_quantize.h.
#include "vector_quantize_passes.h"

namespace jlatent::test {
namespace {

// ---- forward ----

struct StageCase {
    const char* name;
    jl_vector_quantize s;
    bool lattice;  // few different values: ties everywhere
    bool masked;
};

// Rows, and codebooks that get finer from stage to stage.
void make(const jl_vector_quantize& s, bool lattice, Matrix* x, Matrix* codebook) {
    const Extents n(s);
    std::mt19937 engine(11);
    std::normal_distribution<float> normal;
    const auto step = [&] { return 0.5f * static_cast<float>(static_cast<int>(engine() % 9) - 4); };
    for (size_t i = 0; i < n.values(); ++i) x->push_back(lattice ? step() : normal(engine));
    for (size_t i = 0; i < n.entries(); ++i) {
        const size_t stage = i / (n.codes * n.dims) % n.stages;
        codebook->push_back((lattice ? step() : normal(engine)) / static_cast<float>(1 << stage));
    }
    *x = rounded(s.type, *x);
}

class VectorQuantizeStagesTest : public testing::TestWithParam<StageCase> {};

TEST_P(VectorQuantizeStagesTest, CodesAreExactAndOutputsFollow) {
    StageCase c = GetParam();
    if (std::string(kernels().name) == "emulated") c.s.rows = std::min<int64_t>(c.s.rows, 50);  // slow
    Matrix x, codebook;
    make(c.s, c.lattice, &x, &codebook);
    const size_t row = x.size() / std::max<size_t>(1, static_cast<size_t>(c.s.rows));
    Matrix mask(static_cast<size_t>(c.s.rows), 1.0f);
    for (size_t n = 0; n < mask.size(); n += 3) {
        mask[n] = 0.0f;
        if (c.masked) x[n * row] = NAN;
    }
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(c.s, x, codebook, c.masked ? &mask : nullptr, 0.25f, 1, &f));
    ASSERT_NO_FATAL_FAILURE(check_codes(c.s, x, codebook, c.masked ? &mask : nullptr, f.codes));
    check_outputs(c.s, x, codebook, 0.25f, f);
}

INSTANTIATE_TEST_SUITE_P(Cases, VectorQuantizeStagesTest,
                         testing::Values(StageCase{"one_row", {1, 2, 2, 1, 1, JL_F32, 0}, false, false},
                                         StageCase{"no_rows", {0, 2, 3, 4, 5, JL_F32, 0}, false, false},
                                         StageCase{"heads", {37, 3, 1, 20, 7, JL_F32, 0}, false, false},
                                         StageCase{"stages", {45, 1, 8, 17, 12, JL_F32, 0}, false, false},
                                         StageCase{"both", {29, 2, 3, 33, 5, JL_F32, 0}, false, true},
                                         StageCase{"ties", {40, 2, 4, 30, 3, JL_F32, 0}, true, false},
                                         StageCase{"bf16", {41, 1, 1, 30, 17, JL_BF16, 0}, false, true},
                                         StageCase{"bf16_heads", {23, 3, 1, 12, 9, JL_BF16, 0}, false, false},
                                         StageCase{"bf16_both", {31, 2, 3, 12, 21, JL_BF16, 0}, false, true},
                                         StageCase{"bf16_ties", {40, 1, 3, 30, 3, JL_BF16, 0}, true, false},
                                         StageCase{"long_rows", {9, 2, 2, 10, 300, JL_F32, 0}, false, false},
                                         StageCase{"large", {2100, 2, 4, 100, 24, JL_F32, 0}, false, true},
                                         StageCase{
                                             "bf16_large", {2100, 1, 3, 100, 64, JL_BF16, 0}, false, false}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(VectorQuantizeStages, EveryStageLowersTheError) {
    const jl_vector_quantize s = {200, 1, 6, 16, 4, JL_F32, 0};
    Matrix x, codebook;
    make(s, false, &x, &codebook);
    for (size_t b = 0; b < 6; ++b)
        for (size_t d = 0; d < 4; ++d) codebook[b * 64 + d] = 0.0f;  // an entry that leaves all as it is
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 1.0f, 0, &f));
    const Residuals residuals(s, x, codebook, f.codes);
    std::vector<double> square(7);
    for (size_t t = 0; t < 7; ++t)
        for (const float r : residuals.r[t]) square[t] += static_cast<double>(r) * r;
    for (size_t t = 0; t < 6; ++t) EXPECT_LT(square[t + 1], 0.95 * square[t]) << t;
}

TEST(VectorQuantizeStages, WhatOverflowsIsRefusedOrMarked) {
    const jl_vector_quantize s = {20, 2, 2, 1, 3, JL_F32, 0};
    const Matrix x = random_floats(120, -1.0f, 1.0f);
    Matrix far = x, codebook = random_floats(12, -1.0f, 1.0f, 2);
    codebook[6] = -3e38f;    // head 1, stage 0
    far[7 * 6 + 3] = 3e38f;  // its residual overflows
    far[13 * 6 + 3] = 2.9e38f;
    const auto run = [&](const Matrix& rows, std::vector<int32_t>* codes, Matrix* q, uint32_t* invalid) {
        Floats x_array(rows), codebook_array(codebook);
        auto codes_array = Integers::output(80);
        auto q_array = Floats::output(120);
        Array<uint32_t> counter(std::vector<uint32_t>{1});
        Workspace w(kernels().vector_quantize_workspace(&s));
        const jl_status status = kernels().vector_quantize_forward(
            &s, x_array.data(), codebook_array.data(), nullptr, nullptr, codes_array.data(), q_array.data(),
            nullptr, nullptr, nullptr, nullptr, nullptr, counter.data(), w.get(), stream());
        *codes = codes_array.read();
        *q = q_array.read();
        *invalid = counter.read()[0];
        return status;
    };
    std::vector<int32_t> codes;
    Matrix q;
    uint32_t invalid;
    if (std::string(kernels().name).rfind("cpu", 0) == 0) {
        EXPECT_BAD_ARGUMENT(run(far, &codes, &q, &invalid), "a residual of row 7 of x is not finite");
        codebook[6 + 3 + 1] = INFINITY;
        EXPECT_BAD_ARGUMENT(run(x, &codes, &q, &invalid), "codebook[0] is not finite, in head 1 and stage 1");
    } else {
        ASSERT_OK(run(far, &codes, &q, &invalid));
        EXPECT_EQ(invalid, 3u);
        for (size_t i = 0; i < 80; ++i) EXPECT_EQ(codes[i], i / 4 == 7 || i / 4 == 13 ? -1 : 0) << i;
        for (size_t i = 0; i < 120; ++i) EXPECT_EQ(std::isnan(q[i]), i / 6 == 7 || i / 6 == 13) << i;
    }
}

// ---- gradients ----

// The rotation trick's T in fp64 for one head, from its matrix R = I - 2 u u^T + 2 q^ x^^T.
std::vector<double> rotated(const float* x, const float* q, const float* d, size_t dims) {
    double xx = 0.0, qq = 0.0, uu = 0.0;
    for (size_t i = 0; i < dims; ++i) {
        xx += static_cast<double>(x[i]) * x[i];
        qq += static_cast<double>(q[i]) * q[i];
    }
    const auto x_hat = [&](size_t i) { return x[i] / std::sqrt(xx); };
    const auto q_hat = [&](size_t i) { return q[i] / std::sqrt(qq); };
    for (size_t i = 0; i < dims; ++i) uu += std::pow(x_hat(i) + q_hat(i), 2);
    std::vector<double> out(d, d + dims);
    if (xx == 0.0 || qq == 0.0 || uu < 1e-24) return out;
    for (size_t i = 0; i < dims; ++i) {
        double taken = 0.0;
        out[i] = 0.0;
        for (size_t j = 0; j < dims; ++j) {
            const double matrix = (i == j ? 1.0 : 0.0) + 2.0 * q_hat(j) * x_hat(i) -
                                  2.0 * (x_hat(i) + q_hat(i)) * (x_hat(j) + q_hat(j)) / uu;  // R[j][i]
            out[i] += std::sqrt(qq / xx) * matrix * d[j];
            taken += matrix * q_hat(j);
        }
        EXPECT_NEAR(taken, x_hat(i), 1e-9);  // R^T q^ = x^: the rotation takes x^ to q^
    }
    return out;
}

struct GradientCase {
    const char* name;
    jl_vector_quantize s;
};

class VectorQuantizeGradientTest : public testing::TestWithParam<GradientCase> {};

TEST_P(VectorQuantizeGradientTest, EqualsTheFormulasAndDifferences) {
    const jl_vector_quantize s = GetParam().s;
    const Extents n(s);
    Matrix x, codebook;
    make(s, false, &x, &codebook);
    const Matrix d_q = rounded(s.type, random_floats(x.size(), -1.0f, 1.0f, 3));
    Matrix mask(n.rows, 1.0f);
    mask[2] = mask[n.rows - 1] = 0.0f;
    const float beta = 0.25f, of_codebook = 3.0f, of_commitment = 2.0f;
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, &mask, beta, 0, &f));
    Backward b;
    ASSERT_NO_FATAL_FAILURE(
        backward(s, x, codebook, f.codes, f.valid, &beta, &d_q, &of_codebook, &of_commitment, &b));

    const Residuals residuals(s, x, codebook, f.codes);
    const double scale = 2.0 / (f.valid * static_cast<double>(n.heads * n.dims));
    std::vector<double> d_x(x.size()), commitment(x.size()), d_codebook(codebook.size());
    for (size_t head = 0; head < n.rows * n.heads; ++head) {
        if (f.codes[head * n.stages] < 0) continue;
        const size_t at = head * n.dims;
        std::vector<double> through(d_q.begin() + static_cast<std::ptrdiff_t>(at),
                                    d_q.begin() + static_cast<std::ptrdiff_t>(at + n.dims));
        if (s.rotate != 0) through = rotated(&x[at], &residuals.q[at], &d_q[at], n.dims);
        for (size_t i = at; i < at + n.dims; ++i) {
            for (size_t t = 0; t < n.stages; ++t) {
                const size_t book = head % n.heads * n.stages + t,
                             code = static_cast<size_t>(f.codes[head * n.stages + t]);
                commitment[i] += beta * of_commitment * scale * residuals.r[t + 1][i];
                d_codebook[(book * n.codes + code) * n.dims + i - at] -=
                    of_codebook * scale * residuals.r[t + 1][i];
            }
            d_x[i] = through[i - at] + commitment[i];
        }
    }
    if (s.type == JL_F32)
        EXPECT_CLOSE(b.d_x, d_x, 2e-6, 2e-7);
    else
        EXPECT_CLOSE(b.d_x, d_x, 1.0 / 256, 1e-7);  // half a unit of bf16 is 2^-9
    EXPECT_CLOSE(b.d_codebook, d_codebook, 1e-5, 1e-7);

    // Both losses' gradients, with the codes as they are and constants where the formulas say so.
    const auto loss = [&](const std::vector<double>& values, const std::vector<double>& entries, bool stop) {
        double sum = 0.0;
        for (size_t i = 0; i < values.size(); ++i) {
            const size_t head = i / n.dims;
            if (f.codes[head * n.stages] < 0) continue;
            double r = values[i];
            for (size_t t = 0; t < n.stages; ++t) {
                const size_t book = head % n.heads * n.stages + t,
                             code = static_cast<size_t>(f.codes[head * n.stages + t]);
                if (stop) r = residuals.r[t][i];  // constant: the entries before are
                r -= entries[(book * n.codes + code) * n.dims + i % n.dims];
                sum += r * r;
            }
        }
        return sum * scale / 2.0;
    };
    const auto numeric_x = numeric_gradient(
        [&](const std::vector<double>& v) {
            return beta * of_commitment * loss(v, doubles(codebook), false);
        },
        doubles(x));
    const auto numeric_e = numeric_gradient(
        [&](const std::vector<double>& e) { return of_codebook * loss(doubles(x), e, true); },
        doubles(codebook));
    EXPECT_CLOSE(Matrix(commitment.begin(), commitment.end()), numeric_x, 1e-4, 1e-7);
    EXPECT_CLOSE(b.d_codebook, numeric_e, 1e-4, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Cases, VectorQuantizeGradientTest,
                         testing::Values(GradientCase{"heads", {20, 3, 1, 5, 7, JL_F32, 0}},
                                         GradientCase{"stages", {20, 1, 8, 5, 6, JL_F32, 0}},
                                         GradientCase{"both", {20, 2, 3, 5, 5, JL_F32, 0}},
                                         GradientCase{"bf16", {20, 2, 2, 5, 5, JL_BF16, 0}},
                                         GradientCase{"rotated", {20, 1, 1, 5, 9, JL_F32, 1}},
                                         GradientCase{"rotated_long", {5, 1, 1, 3, 131, JL_F32, 1}},
                                         GradientCase{"rotated_both", {20, 2, 3, 5, 5, JL_F32, 1}},
                                         GradientCase{"rotated_bf16", {20, 2, 2, 5, 5, JL_BF16, 1}}),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(VectorQuantizeStages, StraightThroughIsToTheBit) {
    for (const int32_t type : {JL_F32, JL_BF16}) {
        const jl_vector_quantize s = {30, 2, 3, 6, 5, type, 0};
        Matrix x, codebook;
        make(s, false, &x, &codebook);
        const Matrix d_q = rounded(type, random_floats(x.size(), -1.0f, 1.0f, 3));
        Forward f;
        ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 1.0f, 0, &f));
        Backward b;
        ASSERT_NO_FATAL_FAILURE(
            backward(s, x, codebook, f.codes, f.valid, nullptr, &d_q, nullptr, nullptr, &b));
        EXPECT_EQ(b.d_x, d_q);
        EXPECT_EQ(b.d_codebook, Matrix(codebook.size(), 0.0f));  // -0 equals 0
    }
}

TEST(VectorQuantizeStages, RotationKeepsLengthsAndAngles) {
    const jl_vector_quantize s = {64, 1, 2, 7, 6, JL_F32, 1};
    Matrix x, codebook;
    make(s, false, &x, &codebook);
    const Matrix d_q = random_floats(x.size(), -1.0f, 1.0f, 3);
    Forward f;
    ASSERT_NO_FATAL_FAILURE(forward(s, x, codebook, nullptr, 1.0f, 0, &f));
    Backward b;
    ASSERT_NO_FATAL_FAILURE(backward(s, x, codebook, f.codes, f.valid, nullptr, &d_q, nullptr, nullptr, &b));
    for (size_t n = 0; n < 64; ++n) {
        double xx = 0, qq = 0, dd = 0, tt = 0, xt = 0, qd = 0;
        for (size_t i = n * 6; i < n * 6 + 6; ++i) {
            const double xi = x[i], qi = f.q[i], di = d_q[i], ti = b.d_x[i];
            xx += xi * xi, qq += qi * qi, dd += di * di, tt += ti * ti, xt += xi * ti, qd += qi * di;
        }
        const double lambda = std::sqrt(qq / xx);
        EXPECT_NEAR(std::sqrt(tt), lambda * std::sqrt(dd), 1e-6 * lambda * std::sqrt(dd));
        EXPECT_NEAR(xt / std::sqrt(xx * tt), qd / std::sqrt(qq * dd), 1e-6);  // angle to x as it was to q
    }
}

TEST(VectorQuantizeStages, RotationIsStraightWhereThereIsNone) {
    // Row 0 is 0, row 1 is quantized to 0, row 2 to its opposite, row 3 is its entry.
    const jl_vector_quantize s = {4, 1, 1, 4, 3, JL_F32, 1};
    const Matrix x = {0, 0, 0, 1, 2, -1, 1, -2, 4, 5, 6, 7};
    const Matrix codebook = {3, 1, 2, 0, 0, 0, -0.5f, 1, -2, 5, 6, 7};
    const std::vector<int32_t> codes = {0, 1, 2, 3};
    const Matrix d_q = random_floats(12, -1.0f, 1.0f, 3);
    Backward b;
    ASSERT_NO_FATAL_FAILURE(backward(s, x, codebook, codes, 4, nullptr, &d_q, nullptr, nullptr, &b));
    for (size_t i = 0; i < 9; ++i) EXPECT_EQ(b.d_x[i], d_q[i]) << i;
    for (size_t i = 9; i < 12; ++i) EXPECT_NEAR(b.d_x[i], d_q[i], 1e-7) << i;  // nothing to turn
}

}  // namespace
}  // namespace jlatent::test

// lstm_cell, row after row, against an fp64 reference written from the formulas of lstm_cell.h.
#include "case_table.h"

namespace jlatent::test {
namespace {

// h of whole images, and what leads there.
struct Maps {
    std::vector<double> gates, c, h;
};

double sigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// `before`: values from one row of an image to the next.
Maps reference(const std::vector<double>& sums, const jl_lstm_cell& s) {
    const size_t count = sums.size() / 4, before = static_cast<size_t>(s.width * s.channels);
    Maps m = {std::vector<double>(4 * count), std::vector<double>(count), std::vector<double>(count)};
    for (size_t i = 0; i < count; ++i) {
        double* a = m.gates.data() + 4 * i;
        for (size_t k = 0; k < 3; ++k) a[k] = sigmoid(sums[4 * i + k]);
        a[3] = std::tanh(sums[4 * i + 3]);
        const bool first = i / before % static_cast<size_t>(s.height) == 0;
        m.c[i] = a[1] * (first ? 0.0 : m.c[i - before]) + a[2] * a[3];
        m.h[i] = a[0] * std::tanh(m.c[i]);
    }
    return m;
}

// Gradient of the sum over d_h h for the sums.
std::vector<double> gradient(const Maps& m, const std::vector<double>& d_h, const jl_lstm_cell& s) {
    const size_t count = d_h.size(), before = static_cast<size_t>(s.width * s.channels);
    std::vector<double> d_sums(4 * count), d_c(count, 0.0);
    for (size_t i = count; i-- > 0;) {
        const double *a = m.gates.data() + 4 * i, t = std::tanh(m.c[i]);
        const bool first = i / before % static_cast<size_t>(s.height) == 0;
        const double d = d_c[i] + d_h[i] * a[0] * (1.0 - t * t), c = first ? 0.0 : m.c[i - before];
        if (!first) d_c[i - before] = d * a[1];
        d_sums[4 * i] = d_h[i] * t * a[0] * (1.0 - a[0]);
        d_sums[4 * i + 1] = d * c * a[1] * (1.0 - a[1]);
        d_sums[4 * i + 2] = d * a[3] * a[2] * (1.0 - a[2]);
        d_sums[4 * i + 3] = d * a[2] * (1.0 - a[3] * a[3]);
    }
    return d_sums;
}

// Row y of every image, `depth` values a pixel.
std::vector<float> row_of(const std::vector<float>& map, const jl_lstm_cell& s, int64_t y, int64_t depth) {
    const int64_t a_row = s.width * depth;
    std::vector<float> row;
    for (int64_t n = 0; n < s.batch; ++n) {
        const auto from = map.begin() + (n * s.height + y) * a_row;
        row.insert(row.end(), from, from + a_row);
    }
    return row;
}

template <class T>
std::vector<double> total(const std::vector<T>& a, const std::vector<T>& b) {
    std::vector<double> sum(a.size());
    for (size_t i = 0; i < a.size(); ++i) sum[i] = static_cast<double>(a[i]) + b[i];
    return sum;
}

class LstmCellTest : public testing::TestWithParam<jl_lstm_cell> {};

// The first row has nothing above and the last nothing below: null there.
TEST_P(LstmCellTest, RowsEqualTheReference) {
    jl_lstm_cell s = GetParam();
    const size_t a_row = static_cast<size_t>(s.batch * s.width * s.channels),
                 count = a_row * static_cast<size_t>(s.height);
    const auto sums = random_floats(4 * count, -4.0f, 4.0f, 1), d_h = random_floats(count, -1.0f, 1.0f, 2);
    auto above = random_floats(4 * count, -2.0f, 2.0f, 3), below = random_floats(count, -1.0f, 1.0f, 4);
    const size_t an_image = static_cast<size_t>(s.height * s.width * s.channels),
                 across = static_cast<size_t>(s.width * s.channels);
    for (size_t i = 0; i < count; ++i) {
        if (i % an_image < across) std::fill_n(above.begin() + static_cast<std::ptrdiff_t>(4 * i), 4, 0.0f);
        if (i % an_image >= an_image - across) below[i] = 0.0f;
    }
    const Maps expected = reference(total(sums, above), s);

    Floats in(sums, 1), d_out(d_h, 3);
    auto gates = Floats::output(4 * count, 2), c = Floats::output(count, 1), h = Floats::output(count, 3),
         d_sums = Floats::output(4 * count, 1);
    for (s.row = 0; s.row < s.height; ++s.row) {
        Floats more(row_of(above, s, s.row, 4 * s.channels), 3);
        auto row = Floats::output(a_row, 1);
        ASSERT_OK(kernels().lstm_cell_forward(&s, in.data(), s.row == 0 ? nullptr : more.data(), gates.data(),
                                              c.data(), h.data(), row.data(), stream()));
        EXPECT_EQ(row.read(), row_of(h.read(), s, s.row, s.channels));
    }
    EXPECT_CLOSE(gates.read(), expected.gates, 1e-6, 0.0);
    EXPECT_CLOSE(c.read(), expected.c, 1e-6, 1e-6);
    EXPECT_CLOSE(h.read(), expected.h, 1e-6, 1e-6);

    Floats d_c(std::vector<float>(a_row, 0.0f), 1);
    for (s.row = s.height - 1; s.row >= 0; --s.row) {
        Floats more(row_of(below, s, s.row, s.channels), 2);
        auto d_row = Floats::output(4 * a_row, 3);
        ASSERT_OK(kernels().lstm_cell_backward(&s, gates.data(), c.data(), d_out.data(),
                                               s.row == s.height - 1 ? nullptr : more.data(), d_c.data(),
                                               d_sums.data(), d_row.data(), stream()));
        EXPECT_EQ(d_row.read(), row_of(d_sums.read(), s, s.row, 4 * s.channels));
    }
    // 1 - o and the like lose what o has rounded away.
    EXPECT_CLOSE(d_sums.read(), gradient(expected, total(d_h, below), s), 1e-6, 1e-6);
    d_c.read();
}

INSTANTIATE_TEST_SUITE_P(Cases, LstmCellTest,
                         testing::Values(jl_lstm_cell{0, 2, 3, 4, 0}, jl_lstm_cell{1, 1, 1, 1, 0},
                                         jl_lstm_cell{3, 1, 5, 7, 0}, jl_lstm_cell{2, 5, 1, 3, 0},
                                         jl_lstm_cell{3, 4, 7, 5, 0}, jl_lstm_cell{1, 3, 9, 67, 0},
                                         jl_lstm_cell{5, 2, 31, 33, 0}, jl_lstm_cell{16, 3, 28, 32, 0}));

// What the other tests hold the kernels against.
TEST(LstmCell, TheReferenceEqualsCentralDifferences) {
    const jl_lstm_cell s = {2, 3, 2, 3, 0};
    const auto sums = random_floats(4 * 36, -3.0f, 3.0f), d_h = random_floats(36, -1.0f, 1.0f, 2);
    const auto loss = [&](const std::vector<double>& p) {
        const Maps m = reference(p, s);
        double sum = 0.0;
        for (size_t i = 0; i < m.h.size(); ++i) sum += d_h[i] * m.h[i];
        return sum;
    };
    const std::vector<double> derivative = gradient(reference(doubles(sums), s), doubles(d_h), s);
    EXPECT_CLOSE(std::vector<float>(derivative.begin(), derivative.end()),
                 numeric_gradient(loss, doubles(sums)), 1e-6, 1e-8);
}

// Open, closed and wide: exact at both ends. A NaN stays in its channel.
TEST(LstmCell, FarEndsAndNaN) {
    const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
    const jl_lstm_cell s = {1, 1, 1, 4, 0};
    Floats sums({100.0f, -100.0f, 100.0f, 100.0f, -inf, 0.0f, inf, inf,  //
                 0.0f, nan, 0.0f, 0.0f, 100.0f, 0.0f, -100.0f, -100.0f});
    auto gates = Floats::output(16), c = Floats::output(4), h = Floats::output(4), row = Floats::output(4);
    ASSERT_OK(kernels().lstm_cell_forward(&s, sums.data(), nullptr, gates.data(), c.data(), h.data(),
                                          row.data(), stream()));
    EXPECT_CLOSE(c.read(), (std::vector<double>{1.0, 1.0, nan, 0.0}), 1e-6, 1e-30);
    EXPECT_CLOSE(h.read(), (std::vector<double>{std::tanh(1.0), 0.0, nan, 0.0}), 1e-6, 1e-30);
}

TEST(LstmCell, BadArgumentsAreNamed) {
    Floats x(std::vector<float>(64, 0.0f));
    float* p = x.data();
    const auto forward = [&](const jl_lstm_cell& s) {
        return kernels().lstm_cell_forward(&s, p, p, p, p, p, p, stream());
    };
    EXPECT_BAD_ARGUMENT(forward({1, 0, 2, 3, 0}), "are needed, got 1, 0, 2 and 3");
    EXPECT_BAD_ARGUMENT(forward({-1, 1, 2, 3, 0}), "got -1, 1, 2 and 3");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 2, 3, 4}), "lstm_cell_forward: row must be from 0 to 3, got 4");
    EXPECT_BAD_ARGUMENT(forward({1, 4, 2, 3, -1}), "got -1");
    EXPECT_BAD_ARGUMENT(forward({int64_t{1} << 34, 2, 2, 2, 0}), "2^38 elements");
    const jl_lstm_cell s = {1, 2, 2, 3, 1};
    EXPECT_BAD_ARGUMENT(kernels().lstm_cell_forward(nullptr, p, p, p, p, p, p, stream()), "shape is null");
    EXPECT_BAD_ARGUMENT(kernels().lstm_cell_forward(&s, nullptr, p, p, p, p, p, stream()),
                        "sums, gates, c, h and row must not be null");
    EXPECT_BAD_ARGUMENT(kernels().lstm_cell_backward(&s, p, p, p, p, nullptr, p, p, stream()),
                        "lstm_cell_backward: gates, c, d_h, d_c, d_sums and d_row must not be null");
}

}  // namespace
}  // namespace jlatent::test

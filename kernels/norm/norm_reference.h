// norm in fp64, written straight from the formulas of norm.h; and the arrays of a test's case.
#pragma once
#include "case_table.h"

namespace jlatent::test {
namespace {

struct Case {
    const char* name;
    int64_t outer, spatial, groups, channels;
    float mean, deviation;
    bool affine, running;

    jl_norm shape() const { return {outer, spatial, groups, channels, 1e-5f, 0.1f}; }
    size_t columns() const { return static_cast<size_t>(groups * channels); }
    size_t items() const { return static_cast<size_t>(outer * groups); }
    size_t per_item() const { return static_cast<size_t>(spatial * channels); }
    size_t count() const { return items() * per_item(); }
    // Which item and which channel element i belongs to.
    size_t item(size_t i) const {
        return i / (columns() * static_cast<size_t>(spatial)) * static_cast<size_t>(groups) +
               i % columns() / static_cast<size_t>(channels);
    }
    size_t column(size_t i) const { return i % columns(); }
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

struct Reference {
    std::vector<double> y, mean, variance, scale;
};

Reference forward(const Case& c, const std::vector<double>& x, const std::vector<double>& gamma,
                  const std::vector<double>& beta) {
    Reference r = {std::vector<double>(x.size()), std::vector<double>(c.items(), 0.0),
                   std::vector<double>(c.items(), 0.0), std::vector<double>(c.items())};
    const double n = static_cast<double>(c.per_item());
    for (size_t i = 0; i < x.size(); ++i) r.mean[c.item(i)] += x[i] / n;
    for (size_t i = 0; i < x.size(); ++i) {
        const double away = x[i] - r.mean[c.item(i)];
        r.variance[c.item(i)] += away * away / n;
    }
    for (size_t k = 0; k < c.items(); ++k)
        r.scale[k] = 1.0 / std::sqrt(r.variance[k] + static_cast<double>(c.shape().epsilon));
    for (size_t i = 0; i < x.size(); ++i)
        r.y[i] = gamma[c.column(i)] * (x[i] - r.mean[c.item(i)]) * r.scale[c.item(i)] + beta[c.column(i)];
    return r;
}

struct Gradients {
    std::vector<double> dx, d_gamma, d_beta;
};

Gradients backward(const Case& c, const std::vector<double>& x, const std::vector<double>& gamma,
                   const std::vector<double>& dy) {
    const Reference r = forward(c, x, gamma, gamma);
    const double n = static_cast<double>(c.per_item());
    Gradients d = {std::vector<double>(x.size()), std::vector<double>(c.columns(), 0.0),
                   std::vector<double>(c.columns(), 0.0)};
    std::vector<double> xhat(x.size()), scaled(c.items(), 0.0), plain(c.items(), 0.0);
    for (size_t i = 0; i < x.size(); ++i) {
        xhat[i] = (x[i] - r.mean[c.item(i)]) * r.scale[c.item(i)];
        const double g = dy[i] * gamma[c.column(i)];
        scaled[c.item(i)] += g * xhat[i] / n;
        plain[c.item(i)] += g / n;
        d.d_gamma[c.column(i)] += dy[i] * xhat[i];
        d.d_beta[c.column(i)] += dy[i];
    }
    for (size_t i = 0; i < x.size(); ++i)
        d.dx[i] = r.scale[c.item(i)] *
                  (dy[i] * gamma[c.column(i)] - plain[c.item(i)] - xhat[i] * scaled[c.item(i)]);
    return d;
}

// The arrays of one case, each at an alignment of its own.
struct Arrays {
    std::vector<float> x, gamma, beta, dy;
    Floats x_array, gamma_array, beta_array, dy_array;
    Workspace workspace;
    jl_norm shape;
    bool affine;

    static std::vector<float> normals(const Case& c) {
        std::mt19937 engine(static_cast<uint32_t>(c.count()));
        std::normal_distribution<double> normal;
        std::vector<float> values(c.count());
        for (size_t i = 0; i < values.size(); ++i)  // items differ
            values[i] = static_cast<float>(c.mean + c.deviation * (normal(engine) + 0.1 * (c.item(i) % 7)));
        return values;
    }
    Arrays(const Case& c, const std::vector<float>& values, size_t shift = 0)
        : x(values),
          gamma(random_floats(c.columns(), -1.5f, 1.5f, 2)),
          beta(random_floats(c.columns(), -1.0f, 1.0f, 3)),
          dy(random_floats(c.count(), -1.0f, 1.0f, 4)),
          x_array(x, shift),
          gamma_array(gamma, shift),
          beta_array(beta, shift),
          dy_array(dy, shift),
          workspace([&] {
              const jl_norm s = c.shape();
              return kernels().norm_workspace(&s);
          }()),
          shape(c.shape()),
          affine(c.affine) {
        if (!affine) std::fill(gamma.begin(), gamma.end(), 1.0f), std::fill(beta.begin(), beta.end(), 0.0f);
    }
    float* g() { return affine ? gamma_array.data() : nullptr; }
    float* b() { return affine ? beta_array.data() : nullptr; }
};

}  // namespace
}  // namespace jlatent::test

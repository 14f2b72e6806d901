// gaussian in fp64, written straight from the formulas of gaussian.h; and the arrays of a test's case.
#pragma once
#include <optional>

#include "case_table.h"

namespace jlatent::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Case {
    int64_t rows, dims, samples;
    bool packed;  // mu and log_var are the halves of one matrix
    float free_bits;
    float log_var_min, log_var_max;
    size_t shift;  // misalignment of the arrays in elements
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.rows << "x" << c.samples << "x" << c.dims << (c.packed ? " packed" : "") << " free bits "
               << c.free_bits << " log_var in [" << c.log_var_min << ", " << c.log_var_max << "] shift "
               << c.shift;
}

double clamped(const Case& c, double log_var) {
    return std::min(std::max(log_var, static_cast<double>(c.log_var_min)),
                    static_cast<double>(c.log_var_max));
}

struct Outputs {
    std::vector<double> z, kl_rows, log_q, log_p, kl_live;
    double kl_total = 0.0;
};

// mu and log_var are [rows, dims] without gaps.
Outputs reference(const Case& c, const std::vector<double>& mu, const std::vector<double>& log_var,
                  const std::vector<double>& eps, double kl_weight,
                  const std::vector<double>* fixed_live = nullptr) {
    const size_t rows = static_cast<size_t>(c.rows), dims = static_cast<size_t>(c.dims),
                 k = static_cast<size_t>(c.samples);
    Outputs o;
    o.z.resize(rows * k * dims);
    o.kl_rows.assign(rows, 0.0);
    o.log_q.assign(rows * k, 0.0);
    o.log_p.assign(rows * k, 0.0);
    std::vector<double> column(dims, 0.0);
    for (size_t b = 0; b < rows; ++b)
        for (size_t d = 0; d < dims; ++d) {
            const double m = mu[b * dims + d], s = clamped(c, log_var[b * dims + d]),
                         sigma = std::exp(s / 2.0);
            const double kl = 0.5 * (m * m + sigma * sigma - 1.0 - s);
            o.kl_rows[b] += kl;
            column[d] += kl;
            for (size_t i = 0; i < k; ++i) {
                const double e = eps[(b * k + i) * dims + d], z = m + sigma * e;
                o.z[(b * k + i) * dims + d] = z;
                o.log_q[b * k + i] -= 0.5 * (e * e + s + std::log(2.0 * M_PI));
                o.log_p[b * k + i] -= 0.5 * (z * z + std::log(2.0 * M_PI));
            }
        }
    const double floor = static_cast<double>(c.free_bits) * static_cast<double>(c.rows);
    for (size_t d = 0; d < dims; ++d) {
        const bool live =
            fixed_live != nullptr ? (*fixed_live)[d] != 0.0 : c.free_bits == 0.0f || column[d] > floor;
        o.kl_live.push_back(live ? 1.0 : 0.0);
        o.kl_total += kl_weight * (live ? column[d] : floor);
    }
    return o;
}

// Inputs and state of a case on the table's device.
class Problem {
  public:
    const Case c;
    const size_t rows, dims, k;
    std::vector<float> mu, log_var, eps;
    const int64_t stride;
    std::optional<Floats> mu_array, log_var_array;
    Array<jl_random> random = random_state(11, 5);
    Floats weight = Floats(std::vector<float>{0.7f});

    explicit Problem(const Case& c_)
        : c(c_),
          rows(static_cast<size_t>(c.rows)),
          dims(static_cast<size_t>(c.dims)),
          k(static_cast<size_t>(c.samples)),
          mu(random_floats(rows * dims, -2.0f, 2.0f, 1)),
          log_var(random_floats(rows * dims, -2.0f, 2.0f, 2)),
          stride(c.packed ? 2 * c.dims : c.dims) {
        // The first dimensions carry little information: with free bits their floors hold.
        for (size_t b = 0; b < rows; ++b)
            for (size_t d = 0; d < dims; d += 2) mu[b * dims + d] *= 0.05f, log_var[b * dims + d] *= 0.05f;
        if (c.packed) {
            std::vector<float> both(2 * rows * dims);
            for (size_t b = 0; b < rows; ++b) {
                std::copy_n(&mu[b * dims], dims, &both[2 * b * dims]);
                std::copy_n(&log_var[b * dims], dims, &both[(2 * b + 1) * dims]);
            }
            mu_array.emplace(both, c.shift);
        } else {
            mu_array.emplace(mu, c.shift);
            log_var_array.emplace(log_var, c.shift);
        }
        eps.resize(rows * k * dims);
    }

    jl_gaussian shape() const {
        return {c.rows, c.dims, c.samples, stride, c.log_var_min, c.log_var_max, c.free_bits, 9};
    }
    const float* mu_data() { return mu_array->data(); }
    const float* log_var_data() { return c.packed ? mu_array->data() + c.dims : log_var_array->data(); }

    // The noise that the operation makes itself: z of mu = 0 and log_var = 0.
    void regenerate_noise() {
        Floats zeros(std::vector<float>(rows * dims, 0.0f));
        auto z = Floats::output(eps.size());
        jl_gaussian plain = {c.rows, c.dims, c.samples, c.dims, -kInfinity, kInfinity, 0.0f, 9};
        Workspace w(kernels().gaussian_workspace(&plain));
        ASSERT_OK(kernels().gaussian_forward(&plain, zeros.data(), zeros.data(), nullptr, random.data(),
                                             nullptr, z.data(), nullptr, nullptr, nullptr, nullptr, nullptr,
                                             w.get(), stream()));
        eps = z.read();
    }
};

}  // namespace
}  // namespace jlatent::test

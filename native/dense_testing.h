// What the tests of dense.h share: inputs, activations in fp64, bf16, guarded outputs.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "dense.h"

namespace dense_testing {

inline double activate(int64_t activation, double x) {
    switch (activation) {
        case JL_RELU:
            return x > 0.0 ? x : 0.0;
        case JL_TANH:
            return std::tanh(x);
        case JL_SIGMOID:
            return 1.0 / (1.0 + std::exp(-x));
        case JL_SOFTPLUS:
            return x > 0.0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        case JL_ELU:
            return x < 0.0 ? std::expm1(x) : x;
        case JL_SILU:
            return x / (1.0 + std::exp(-x));
        case JL_GELU:
            return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
        default:
            return x;
    }
}

inline std::vector<float> random_floats(size_t count, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
    std::vector<float> values(count);
    for (float& v : values) v = uniform(engine);
    return values;
}

// An array as stored for `dtype`, with the values that storage leaves of it.
class Stored {
  public:
    Stored(int64_t dtype, std::vector<float> wanted) : dtype_(dtype), values_(std::move(wanted)) {
        if (dtype_ == JL_F32) return;
        for (float& v : values_) {  // to nearest, ties to even
            uint32_t bits;
            std::memcpy(&bits, &v, 4);
            halves_.push_back(static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16));
            bits = static_cast<uint32_t>(halves_.back()) << 16;
            std::memcpy(&v, &bits, 4);
        }
    }
    const void* data() const {
        return dtype_ == JL_F32 ? static_cast<const void*>(values_.data()) : halves_.data();
    }
    double operator[](int64_t i) const { return values_[static_cast<size_t>(i)]; }

  private:
    int64_t dtype_;
    std::vector<float> values_;
    std::vector<uint16_t> halves_;
};

// Filled with NaN, which not even a multiplication by 0 hides; an element more at each end.
class Output {
  public:
    Output(int64_t dtype, int64_t count)
        : size_(dtype == JL_F32 ? 4 : 2), bytes_(static_cast<size_t>(count + 2) * size_, '\xFF') {}
    void* data() { return bytes_.data() + size_; }
    double operator[](int64_t i) const {
        uint32_t bits = 0;
        std::memcpy(reinterpret_cast<char*>(&bits) + 4 - size_,
                    bytes_.data() + static_cast<size_t>(i + 1) * size_, size_);
        float value;
        std::memcpy(&value, &bits, 4);
        return value;
    }
    ~Output() {
        for (size_t i = 0; i < size_; ++i) {
            EXPECT_EQ(bytes_[i], '\xFF') << "wrote before the start";
            EXPECT_EQ(bytes_[bytes_.size() - 1 - i], '\xFF') << "wrote past the end";
        }
    }

  private:
    size_t size_;
    std::vector<char> bytes_;
};

// A sum in fp64 with what its rounding depends on.
struct Sum {
    double value = 0.0, magnitude = 0.0, terms = 0.0;
    void add(double term) {
        value += term;
        terms += 1.0;
        magnitude += std::abs(term);
    }
    // Each of n additions in f32 rounds a partial sum by up to eps/2 = 2^-24 of it, at random: together
    // about sqrt(n) 2^-24 sum |terms| / 3; allowed is six times that. Rounded bf16 products are far outside.
    // Activations are 1.2-Lipschitz and add their own 2e-6. Storing `result` as bf16 rounds once more.
    double tolerance(int64_t dtype, double result) const {
        return 0x1p-23 * std::sqrt(terms) * magnitude + 2e-6 +
               (dtype == JL_F32 ? 0.0 : 0x1p-8 * std::abs(result));
    }
};

}  // namespace dense_testing

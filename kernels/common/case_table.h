// The test harness: the same cases run against every implementation of the C ABI.
//
// The library under test is named by the environment variable JLATENT_KERNELS; ctest sets it (and
// JLATENT_ISA) for each table. A test binary built with JL_TEST_CUDA keeps its arrays in device memory.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include "jlatent.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace jlatent::test {

const jl_kernels& kernels();  // the table under test
inline jl_stream stream() { return nullptr; }

// Where the table's memory lies: host or device.
void* allocate(size_t bytes);
void release(void* p);
void copy_in(void* device, const void* host, size_t bytes);
void copy_out(void* host, const void* device, size_t bytes);  // waits for the stream

// An array in the table's memory, with guard bytes on both sides. Starts 16-byte aligned plus `shift`
// elements.
template <class T>
class Array {
  public:
    explicit Array(const std::vector<T>& values, size_t shift = 0) : Array(values.size(), shift) {
        copy_in(data(), values.data(), values.size() * sizeof(T));
    }
    // Poisoned: what the operation does not write is found out.
    static Array output(size_t count, size_t shift = 0) { return Array(count, shift); }

    Array(Array&& other) noexcept : base_(other.base_), count_(other.count_), shift_(other.shift_) {
        other.base_ = nullptr;
    }
    Array(const Array&) = delete;
    Array& operator=(const Array&) = delete;
    ~Array() {
        if (base_ == nullptr) return;
        forbid_guards(false);
        release(base_);
    }

    T* data() { return reinterpret_cast<T*>(base_ + kGuard) + shift_; }
    size_t size() const { return count_; }

    // The values; fails the test when a guard byte was touched.
    std::vector<T> read() {
        std::vector<unsigned char> all(bytes());
        forbid_guards(false);
        copy_out(all.data(), base_, all.size());
        forbid_guards(true);
        const size_t front = kGuard + shift_ * sizeof(T), back = front + count_ * sizeof(T);
        for (size_t i = 0; i < all.size(); ++i)
            if ((i < front || i >= back) && all[i] != kPoison) {
                ADD_FAILURE() << "byte " << static_cast<int64_t>(i) - static_cast<int64_t>(front)
                              << " outside an array of " << count_ << " elements was written";
                break;
            }
        std::vector<T> values(count_);
        if (count_ != 0) memcpy(values.data(), all.data() + front, count_ * sizeof(T));
        return values;
    }

  private:
    static constexpr size_t kGuard = 256;
    static constexpr unsigned char kPoison =
        0xFB;  // as f32: a huge negative number; as an index: far out of range

    Array(size_t count, size_t shift) : count_(count), shift_(shift) {
        base_ = static_cast<unsigned char*>(allocate(bytes()));
        const std::vector<unsigned char> poison(bytes(), kPoison);
        copy_in(base_, poison.data(), poison.size());
        forbid_guards(true);
    }

    // Under ASan reading a guard byte is an error as well.
    void forbid_guards(bool forbidden) {
#ifdef __SANITIZE_ADDRESS__
        const size_t front = kGuard + shift_ * sizeof(T), back = front + count_ * sizeof(T);
        const auto mark = forbidden ? __asan_poison_memory_region : __asan_unpoison_memory_region;
        mark(base_, front);
        mark(base_ + back, bytes() - back);
#else
        (void)forbidden;
#endif
    }
    size_t bytes() const { return 2 * kGuard + (count_ + shift_) * sizeof(T); }

    unsigned char* base_ = nullptr;
    size_t count_, shift_;
};

using Floats = Array<float>;

// Zeroed scratch memory of at least `bytes`, guarded like any array.
class Workspace {
  public:
    explicit Workspace(size_t bytes) : array_(std::vector<unsigned char>(bytes, 0)) {}
    jl_workspace get() { return {array_.data(), array_.size()}; }
    ~Workspace() { array_.read(); }

  private:
    Array<unsigned char> array_;
};

inline Array<jl_random> random_state(uint64_t seed, uint32_t step) {
    return Array<jl_random>(std::vector<jl_random>{{seed, step, 0}});
}

inline std::vector<float> random_floats(size_t count, float low, float high, uint32_t seed = 1) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(count);
    for (float& v : values) v = uniform(engine);
    return values;
}

template <class T>
std::vector<double> doubles(const std::vector<T>& values) {
    return {values.begin(), values.end()};
}

// |actual - expected| <= absolute + relative |expected| for every element; NaN and infinity only where
// expected. A failure prints the worst element.
inline void expect_close(const char* name, const std::vector<float>& actual,
                         const std::vector<double>& expected, double relative, double absolute) {
    ASSERT_EQ(actual.size(), expected.size()) << name;
    size_t worst = 0, wrong = 0;
    double worst_excess = 0.0, largest = 0.0;
    for (size_t i = 0; i < actual.size(); ++i) {
        const double error = std::abs(actual[i] - expected[i]);
        const bool same = actual[i] == static_cast<float>(expected[i]) ||
                          (std::isnan(actual[i]) && std::isnan(expected[i]));
        const double excess = same ? 0.0 : error / (absolute + relative * std::abs(expected[i]));
        if (std::isfinite(error)) largest = std::max(largest, error);
        if (!(excess <= 1.0)) {
            if (wrong++ == 0 || excess > worst_excess) worst = i, worst_excess = excess;
        }
    }
    EXPECT_EQ(wrong, 0u) << name << ": " << wrong << " of " << actual.size() << " wrong; worst at [" << worst
                         << "]: got " << actual[worst] << ", expected " << expected[worst] << ", "
                         << worst_excess << " times the tolerance; largest error " << largest;
}

// Central differences of a scalar function in fp64, element by element: the reference for gradients.
inline std::vector<double> numeric_gradient(const std::function<double(const std::vector<double>&)>& f,
                                            std::vector<double> x, double h = 1e-5) {
    std::vector<double> gradient(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const double at = x[i];
        x[i] = at + h;
        const double above = f(x);
        x[i] = at - h;
        const double below = f(x);
        x[i] = at;
        gradient[i] = (above - below) / (2.0 * h);
    }
    return gradient;
}

}  // namespace jlatent::test

#define ASSERT_OK(call) ASSERT_EQ(call, JL_OK) << #call << ": " << ::jlatent::test::kernels().last_error()
#define EXPECT_CLOSE(actual, expected, relative, absolute) \
    ::jlatent::test::expect_close(#actual, actual, expected, relative, absolute)
#define EXPECT_BAD_ARGUMENT(call, text)                                                               \
    do {                                                                                              \
        EXPECT_EQ(call, JL_BAD_ARGUMENT);                                                             \
        EXPECT_NE(std::string(::jlatent::test::kernels().last_error()).find(text), std::string::npos) \
            << ::jlatent::test::kernels().last_error();                                               \
    } while (0)

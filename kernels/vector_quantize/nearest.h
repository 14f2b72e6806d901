// How the nearest code is known for certain.
//
// Ranked is s_k = <x, e_k> - |e_k|^2 / 2, the largest first: it keeps its digits where distances lose them (x ~ 1, codes
// ~ 1e-20). x and codebook are multiplied with one power of two, which makes the codebook's largest norm lie in
// [1/2, 1): products then neither overflow nor vanish. A first pass computes s_k in f32; |computed - s_k| <= f32_bound().
// (On CUDA it computes in fp16, with powers and a bound of its own: nearest_cuda.h.)
// Codes whose computed score is within twice the bound of the best one are candidates: mostly there is one. Otherwise
// fp64, with f64_bound(), compares them, and an exact sum of integers where that does not suffice.
#pragma once
#include "host_device.h"

namespace jlatent::JL_TABLE {

// Rows with a larger scaled norm go to fp64 at once: f32 could overflow.
constexpr double kLargestNorm = 0x1p125;

// The power of two that brings a norm into [1/2, 1); 1 for a codebook of zeros.
JL_HOST_DEVICE double scale_of(double largest_norm) {
    if (!(largest_norm > 0.0)) return 1.0;
    int exponent;
    frexp(largest_norm, &exponent);
    return ldexp(1.0, -exponent);
}

// Bound of the error of n operations in a row, each rounded to relative `unit`.
JL_HOST_DEVICE double rounding(double n, double unit) { return n * unit / (1.0 - n * unit); }

// For scaled norms |x| and |e|, of an f32 sum in any order. A term is rounded once as a product and D times in sums;
// |e|^2 / 2 and the comparison are rounded too, and norms are a little off: 8 for these. The last term is for what falls
// under the smallest f32.
JL_HOST_DEVICE double f32_bound(double x, double e, int64_t dims) {
    const double d = static_cast<double>(dims);
    return rounding(d + 8.0, 0x1p-24) * (e * e * 0.5 + x * e) + 0x1p-147 * d * (1.0 + x);
}

// Of a sum of score_part in any order, for norms as stored. Products of f32 are exact in fp64.
JL_HOST_DEVICE double f64_bound(double x, double e, int64_t dims) {
    return rounding(static_cast<double>(dims) + 8.0, 0x1p-53) * (e * e * 0.5 + x * e);
}

// One dimension's part of s_k, for fp64 sums in any order.
JL_HOST_DEVICE double score_part(float x, float e) {
    const double wide = static_cast<double>(e);
    return static_cast<double>(x) * wide - 0.5 * wide * wide;
}

// An exact sum of products of f32: a fixed-point number of 18 limbs, whose last bit is 2^-299. 2^22 products fit.
class ExactSum {
  public:
    JL_HOST_DEVICE ExactSum() {
        for (int i = 0; i < kLimbs; ++i) limb_[i] = 0;
    }

    // Adds a b / 2^halvings, or takes it away; halvings is 0 or 1.
    JL_HOST_DEVICE void add(float a, float b, int halvings, bool minus) {
        const uint32_t abits = bits_of_float(a), bbits = bits_of_float(b);
        const uint64_t product = static_cast<uint64_t>(mantissa(abits)) * mantissa(bbits);
        const int place =
            exponent(abits) + exponent(bbits) + 1 - halvings;  // >= 0: of the product's last bit
        const int first = place / 32, shift = place % 32;
        const uint64_t low = (product & 0xffffffffu) << shift, high = (product >> 32) << shift;
        const bool negative = (((abits ^ bbits) >> 31) != 0) != minus;
        put(first, low & 0xffffffffu, negative);
        put(first + 1, (low >> 32) + (high & 0xffffffffu), negative);
        put(first + 2, high >> 32, negative);
    }

    // -1, 0 or 1. Once, at the end.
    JL_HOST_DEVICE int sign() {
        bool zero = true;
        for (int i = 0; i + 1 < kLimbs; ++i) {
            limb_[i + 1] += limb_[i] >> 32;  // rounds down: what stays is not negative
            zero = zero && (limb_[i] & 0xffffffff) == 0;
        }
        const int64_t top = limb_[kLimbs - 1];
        return top < 0 ? -1 : zero && top == 0 ? 0 : 1;
    }

  private:
    static constexpr int kLimbs = 18;

    // value = mantissa 2^(exponent - 149)
    JL_HOST_DEVICE static uint32_t mantissa(uint32_t bits) {
        return (bits & 0x7fffffu) | ((bits & 0x7f800000u) != 0 ? 0x800000u : 0u);
    }
    JL_HOST_DEVICE static int exponent(uint32_t bits) {
        const int biased = static_cast<int>(bits >> 23 & 0xffu);
        return biased == 0 ? 0 : biased - 1;
    }
    JL_HOST_DEVICE void put(int i, uint64_t value, bool negative) {
        limb_[i] += negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
    }

    int64_t limb_[kLimbs];
};

// The sign of s_a - s_b for two codes.
JL_HOST_DEVICE int compare_exactly(const float* x, const float* a, const float* b, int64_t dims) {
    ExactSum sum;
    for (int64_t d = 0; d < dims; ++d) {
        if (bits_of_float(a[d]) == bits_of_float(b[d])) continue;
        sum.add(x[d], a[d], 0, false);
        sum.add(a[d], a[d], 1, true);
        sum.add(x[d], b[d], 0, true);
        sum.add(b[d], b[d], 1, false);
    }
    return sum.sign();
}

// The best of the codes seen, over the real numbers; the lowest of equals.
struct Nearest {
    int64_t code;  // -1: none yet
    double score, bound;

    JL_HOST_DEVICE void consider(const float* x, const float* codebook, int64_t dims, int64_t other, double s,
                                 double b) {
        if (code >= 0) {
            if (s + b < score - bound) return;
            if (!(s - b > score + bound)) {
                const int sign = compare_exactly(x, codebook + other * dims, codebook + code * dims, dims);
                if (sign < 0 || (sign == 0 && other >= code)) return;
            }
        }
        code = other;
        score = s;
        bound = b;
    }
};

}  // namespace jlatent::JL_TABLE

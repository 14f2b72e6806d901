// exp, log and sin/cos without branches or tables, so that loops over them vectorise.
//
// Polynomials: Cephes (Moshier), the single-precision minimax sets. Measured over their ranges: exp and log
// 1e-7 relative, sin_cos_turns 1e-7 absolute. On CUDA the hardware's own functions are used where their error
// is as small.
#pragma once
#include "host_device.h"

namespace jlatent::JL_TABLE {

// e^x; 0 below -87.3, +inf above 88.7, NaN stays NaN. Arithmetic only: the same bits on every table whose compiler fuses
// no multiply with an add (kernels/CMakeLists.txt says for which files).
JL_HOST_DEVICE float polynomial_exp(float x) {
    const float n = rintf((x < -104.0f ? -104.0f : x > 89.0f ? 89.0f : x) * 1.44269504f);
    float r = x - n * 0.693359375f;
    r = r - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    // 2^n in two factors: n reaches 128 at the top.
    const int32_t half = static_cast<int32_t>(n) >> 1;
    const int32_t rest = static_cast<int32_t>(n) - half;
    const float y = p * float_of_bits(static_cast<uint32_t>(half + 127) << 23) *
                    float_of_bits(static_cast<uint32_t>(rest + 127) << 23);
    return x > 88.7228394f ? INFINITY : x < -103.9f ? 0.0f : y;
}

// The same, as fast as the table can.
JL_HOST_DEVICE float fast_exp(float x) {
#if defined(__CUDA_ARCH__)
    return expf(x);
#else
    return polynomial_exp(x);
#endif
}

// log(x) for normal x > 0; anything else is undefined (callers keep x away from 0).
JL_HOST_DEVICE float fast_log(float x) {
#if defined(__CUDA_ARCH__)
    return logf(x);
#else
    // x = m 2^e with m in [sqrt(1/2), sqrt(2))
    const uint32_t bits = bits_of_float(x);
    const int32_t e = static_cast<int32_t>(bits - 0x3f3504f3u) >> 23;
    const float f = float_of_bits(bits - (static_cast<uint32_t>(e) << 23)) - 1.0f;
    const float ef = static_cast<float>(e);
    float p = 7.0376836292e-2f;
    p = p * f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    const float f2 = f * f;
    float y = f * f2 * p + ef * -2.12194440e-4f;
    y = y - 0.5f * f2;
    return f + y + ef * 0.693359375f;
#endif
}

// 1 - e^-x for x >= 0, keeping the digits of small results.
JL_HOST_DEVICE float one_minus_exp(float x) {
#if defined(__CUDA_ARCH__)
    return -expm1f(-x);
#else
    // Taylor to x^7 below 1/2: error 5e-8 relative; above, nothing cancels.
    float p = 1.0f / 5040.0f;
    p = p * -x + 1.0f / 720.0f;
    p = p * -x + 1.0f / 120.0f;
    p = p * -x + 1.0f / 24.0f;
    p = p * -x + 1.0f / 6.0f;
    p = p * -x + 0.5f;
    p = p * -x + 1.0f;
    return x < 0.5f ? p * x : 1.0f - fast_exp(-x);
#endif
}

// log(1 + e^x) without overflow, keeping the digits of small results.
JL_HOST_DEVICE float softplus(float x) {
    const float e = fast_exp(-fabsf(x));  // in (0, 1]
    // log1p(e): Kahan's correction restores what 1 + e rounds away.
    const float u = 1.0f + e;
    const float log1p = u == 1.0f ? e : fast_log(u) * (e / (u - 1.0f));
    return (x > 0.0f ? x : 0.0f) + log1p;
}

JL_HOST_DEVICE float sigmoid(float x) {
    const float e = fast_exp(-fabsf(x));
    const float s = 1.0f / (1.0f + e);
    return x >= 0.0f ? s : e * s;
}

// Arithmetic only, as polynomial_exp. An odd polynomial near 0 keeps the digits that 1 - 2 / (e^2x + 1) would cancel.
JL_HOST_DEVICE float polynomial_tanh(float x) {
    const float x2 = x * x;
    float p = -5.70498872745e-3f;
    p = p * x2 + 2.06390887954e-2f;
    p = p * x2 - 5.37397155531e-2f;
    p = p * x2 + 1.33314422036e-1f;
    p = p * x2 - 3.33332819422e-1f;
    const float small = p * x2 * x + x;
    const float a = fabsf(x);
    const float large = 1.0f - 2.0f / (polynomial_exp(2.0f * a) + 1.0f);
    return a < 0.625f ? small : copysignf(large, x);
}

JL_HOST_DEVICE float fast_tanh(float x) {
#if defined(__CUDA_ARCH__)
    return tanhf(x);
#else
    return polynomial_tanh(x);
#endif
}

// sin and cos of 2 pi (turns / 2^32): the angle is an integer, so the quadrant is exact.
JL_HOST_DEVICE void sin_cos_turns(uint32_t turns, float* sine, float* cosine) {
    const int32_t quadrant = static_cast<int32_t>(turns >> 30);
    // y in [-pi/4, pi/4), measured from the middle of the quadrant's arc: the quadrants are shifted by an
    // eighth turn, which leaves a uniform angle uniform.
    const float y =
        (static_cast<float>(static_cast<int32_t>((turns << 2) >> 8)) * 5.96046448e-8f - 0.5f) * 1.57079633f;
    const float y2 = y * y;
    const float s = ((-1.9515295891e-4f * y2 + 8.3321608736e-3f) * y2 - 1.6666654611e-1f) * y2 * y + y;
    const float c =
        ((2.443315711809948e-5f * y2 - 1.388731625493765e-3f) * y2 + 4.166664568298827e-2f) * y2 * y2 +
        (1.0f - 0.5f * y2);
    const bool swapped = (quadrant & 1) != 0;
    const uint32_t sine_sign = static_cast<uint32_t>(quadrant & 2) << 30;
    const uint32_t cosine_sign = static_cast<uint32_t>((quadrant + 1) & 2) << 30;
    *sine = float_of_bits(bits_of_float(swapped ? c : s) ^ sine_sign);
    *cosine = float_of_bits(bits_of_float(swapped ? s : c) ^ cosine_sign);
}

}  // namespace jlatent::JL_TABLE

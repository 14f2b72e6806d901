// Lets one header of arithmetic serve nvcc, the emulator and the CPU compiler.
//
// JL_TABLE is the name of the implementation being compiled (amx, avx512, avx2, baseline, emulated, cuda).
// Everything an operation defines lives in namespace jlatent::JL_TABLE, so that one library can hold several
// builds of the same source and the linker never merges an AVX-512 inline function into the baseline one.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define JL_HOST_DEVICE __host__ __device__ __forceinline__
#define JL_UNROLL _Pragma("unroll")
#else
#define JL_HOST_DEVICE inline __attribute__((always_inline))
#define JL_UNROLL _Pragma("GCC unroll 16")
#endif

namespace jlatent::JL_TABLE {

JL_HOST_DEVICE float float_of_bits(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

JL_HOST_DEVICE uint32_t bits_of_float(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

// bfloat16 is the upper half of an f32. To the nearest, ties to even; NaN stays NaN.
JL_HOST_DEVICE uint16_t bf16_of_float(float f) {
    const uint32_t bits = bits_of_float(f);
    const uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    return static_cast<uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded);
}

JL_HOST_DEVICE float float_of_bf16(uint16_t half) { return float_of_bits(static_cast<uint32_t>(half) << 16); }

// fp16: five bits of exponent, ten of fraction; 2^-24 is the smallest that is not 0. To the nearest, ties to even; infinite
// from 65520 on; NaN stays NaN.
JL_HOST_DEVICE uint16_t f16_of_float(float f) {
    const uint32_t bits = bits_of_float(f), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
    if (size >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (size < 0x38800000u) {  // added to 1/2, whose last bit is 2^-24, it is rounded
        const uint32_t fraction = bits_of_float(float_of_bits(size) + 0.5f) - bits_of_float(0.5f);
        return static_cast<uint16_t>(sign | fraction);
    }
    const uint32_t rounded = size + 0xfffu + (size >> 13 & 1u);
    return static_cast<uint16_t>(sign | (rounded - (112u << 23)) >> 13);
}

JL_HOST_DEVICE float float_of_f16(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16, size = half & 0x7fffu;
    if (size >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | (size & 0x3ffu) << 13);
    if (size < 0x400u)
        return float_of_bits(sign | bits_of_float(static_cast<float>(static_cast<int32_t>(size)) * 0x1p-24f));
    return float_of_bits(sign | ((size << 13) + (112u << 23)));
}

}  // namespace jlatent::JL_TABLE

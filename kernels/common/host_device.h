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

}  // namespace jlatent::JL_TABLE

// The inner product of blocked products on the CPU, one source for all vector widths: a tile of kTileRows rows by two
// vectors of columns, kept in registers.
#pragma once
#include "host_device.h"

namespace jlatent::JL_TABLE {

#if defined(__AVX512F__)
constexpr int64_t kLanes = 16,
                  kTileRows = 12;  // 24 sums, 2 vectors of b and a value of a in 32 registers
#elif defined(__AVX2__)
constexpr int64_t kLanes = 8, kTileRows = 6;
#else
constexpr int64_t kLanes = 4, kTileRows = 6;
#endif
constexpr int64_t kPanel = 2 * kLanes;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float))));

inline Vector load(const float* p) {
    Vector v;
    memcpy(&v, p, sizeof v);
    return v;
}
inline void store(float* p, Vector v) { memcpy(p, &v, sizeof v); }

// sum[i] += sum over k < count of a[i row + k step] b[k], rows of b being kPanel long.
template <int64_t kRows>
inline __attribute__((always_inline)) void multiply(const float* a, int64_t row, int64_t step, const float* b,
                                                    int64_t count, Vector (&sum)[kRows][2]) {
    for (int64_t k = 0; k < count; ++k) {
        const Vector b0 = load(b + k * kPanel), b1 = load(b + k * kPanel + kLanes);
#pragma GCC unroll 16
        for (int64_t i = 0; i < kRows; ++i) {
            const Vector x = a[i * row + k * step] - Vector{};  // broadcast: less 0 changes nothing
            sum[i][0] += x * b0;
            sum[i][1] += x * b1;
        }
    }
}

}  // namespace jlatent::JL_TABLE

// scalar_codes.h on CUDA: thread t of a block looks after column t % dims, of one row after the other, so that what depends
// on the column stays in registers and neighbouring threads read neighbouring values.
#pragma once
#include "launch.h"
#include "scalar_codes.h"

namespace jlatent::JL_TABLE {

inline unsigned row_grid(int64_t rows, int64_t dims) {
    const int64_t a_block = kBlock / dims;
    return fixed_grid((rows + a_block - 1) / a_block);
}

__device__ inline int own_column(int dims) { return static_cast<int>(threadIdx.x) % dims; }

// f(row, element, live) for what this thread looks after; all threads of a block call it equally often, not all live.
template <class F>
__device__ inline void each_value(int64_t rows, int dims, F f) {
    const int a_block = kBlock / dims, own = static_cast<int>(threadIdx.x) / dims, d = own_column(dims);
    for (int64_t first = blockIdx.x * static_cast<int64_t>(a_block); first < rows;
         first += gridDim.x * static_cast<int64_t>(a_block)) {
        const int64_t n = first + own;
        f(n, n * dims + d, own < a_block && n < rows);
    }
}

// The sum of the parts, at least 0 each, of a row's threads; -1 where one of them is negative. All of the row's threads
// get it; all threads must call.
__device__ inline int32_t row_code(int32_t part, int dims) {
    JL_SHARED(int32_t, parts, [kBlock]);
    __syncthreads();  // an earlier call's readers are done
    parts[threadIdx.x] = part;
    __syncthreads();
    const int first = static_cast<int>(threadIdx.x) / dims * dims;
    if (first + dims > kBlock) return -1;  // threads left over
    int32_t code = 0;
    bool finite = true;
    for (int d = 0; d < dims; ++d) {
        const int32_t p = parts[first + d];
        finite = finite && p >= 0;
        code += finite ? p : 0;
    }
    return finite ? code : -1;
}

// The sum over the threads of each column, in their order: thread d < dims gets that of column d. All threads must call.
__device__ inline double column_sum(double v, int dims) {
    JL_SHARED(double, values, [kBlock]);
    __syncthreads();  // an earlier call's readers are done
    values[threadIdx.x] = v;
    __syncthreads();
    double sum = 0.0;
    if (static_cast<int>(threadIdx.x) < dims)
        for (int t = static_cast<int>(threadIdx.x); t < kBlock / dims * dims; t += dims) sum += values[t];
    return sum;
}

}  // namespace jlatent::JL_TABLE

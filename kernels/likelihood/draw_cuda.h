// A warp that draws together (draw.h): draw_categorical<Warp>, called by all its lanes, is draw_categorical, bit for bit.
#pragma once
#include "draw.h"
#include "launch.h"

namespace jlatent::JL_TABLE {

struct Warp {
    static constexpr int kLanes = kWarp;
    __device__ static int lane() { return threadIdx.x % kWarp; }
    __device__ static float largest(float v) {
        for (int offset = kWarp / 2; offset > 0; offset /= 2) {
            const float other = __shfl_xor_sync(0xffffffffu, v, offset);
            v = other > v ? other : v;
        }
        return v;
    }
    __device__ static uint64_t sum(uint64_t v) { return warp_sum(static_cast<unsigned long long>(v)); }
    __device__ static uint64_t before(uint64_t v) {
        unsigned long long sum = v;
        for (int offset = 1; offset < kWarp; offset *= 2) {
            const unsigned long long other = __shfl_up_sync(0xffffffffu, sum, offset);
            if (lane() >= offset) sum += other;
        }
        return sum - v;
    }
};

}  // namespace jlatent::JL_TABLE

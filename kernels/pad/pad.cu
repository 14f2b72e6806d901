#include "pad.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread an element of y: neighbours write neighbours. T is as large as an element.
template <class T>
__global__ void pad_kernel(jl_pad s, const T* __restrict__ x, T* __restrict__ y, int64_t count) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= count) return;
    const int64_t row = i / s.channels / padded_width(s);
    const int64_t n = row / padded_height(s), h = row % padded_height(s) - s.top;
    const int64_t w = i / s.channels % padded_width(s) - s.left, c = i % s.channels;
    const bool inside = h >= 0 && h < s.height && w >= 0 && w < s.width;
    y[i] = inside ? x[((n * s.height + h) * s.width + w) * s.channels + c] : T{0};
}

}  // namespace

jl_status pad(const jl_pad* shape, const void* x, void* y, jl_stream stream) {
    if (const jl_status status = check_pad(shape, x, y)) return status;
    const int64_t count = padded_elements(*shape);
    if (count == 0) return JL_OK;
    const unsigned grid = static_cast<unsigned>((count + kBlock - 1) / kBlock);
    if (shape->dtype == JL_F32)
        return launch("pad", grid, kBlock, 0, stream, pad_kernel<uint32_t>, *shape,
                      static_cast<const uint32_t*>(x), static_cast<uint32_t*>(y), count);
    return launch("pad", grid, kBlock, 0, stream, pad_kernel<uint16_t>, *shape,
                  static_cast<const uint16_t*>(x), static_cast<uint16_t*>(y), count);
}

}  // namespace jlatent::JL_TABLE

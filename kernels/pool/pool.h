// pool: the maximum or the average of windows over NHWC images, and back
//
// pool_forward     y[n,oy,ox,c] = max or mean of x[n,iy,ix,c] over the window's pixels inside the image:
//                      iy = oy stride_y - pad_top + ky,  ix = ox stride_x - pad_left + kx
//                  winners = ky kernel_width + kx of the maximum; of equal values the first in the window; NaN wins
// pool_backward    dx[n,iy,ix,c] = sum of dy over the windows that the pixel won; of the average, of dy / pixels
//
// x, dx            [batch, height, width, channels] contiguous f32
// y, dy            [batch, out_height, out_width, channels], see jl_pool; no overlap with x, dx
// winners          as y, i32; null for the average, and in forward where no gradient is wanted
// deterministic    yes: a pixel's windows are summed row by row, left to right
// bytes            4 (x + y) each way, and 4 y for winners
#pragma once
#include <algorithm>

#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

// A pixel of NHWC images by the index of its element.
struct PoolPixel {
    int64_t n, y, x, c;
    JL_HOST_DEVICE PoolPixel(int64_t i, int64_t height, int64_t width, int64_t channels)
        : n(i / channels / width / height),
          y(i / channels / width % height),
          x(i / channels % width),
          c(i % channels) {}
};

// The part [begin, end) of window `o` inside an image, along one axis.
struct PoolWindow {
    int64_t begin, end;
    JL_HOST_DEVICE PoolWindow(int64_t o, int64_t stride, int64_t pad, int64_t kernel, int64_t extent) {
        const int64_t start = o * stride - pad, stop = start + kernel;
        begin = start > 0 ? start : 0;
        end = stop < extent ? stop : extent;
    }
};

JL_HOST_DEVICE int64_t pool_extent(int64_t extent, int64_t pad, int64_t kernel, int64_t stride) {
    return (extent + pad - kernel) / stride + 1;
}
JL_HOST_DEVICE int64_t pool_height(const jl_pool& s) {
    return pool_extent(s.height, s.pad_top + s.pad_bottom, s.kernel_height, s.stride_y);
}
JL_HOST_DEVICE int64_t pool_width(const jl_pool& s) {
    return pool_extent(s.width, s.pad_left + s.pad_right, s.kernel_width, s.stride_x);
}

// Element i of y.
JL_HOST_DEVICE void pool_window(const jl_pool& s, int64_t i, const float* x, float* y, int32_t* winners) {
    const PoolPixel out(i, pool_height(s), pool_width(s), s.channels);
    const PoolWindow rows(out.y, s.stride_y, s.pad_top, s.kernel_height, s.height);
    const PoolWindow columns(out.x, s.stride_x, s.pad_left, s.kernel_width, s.width);
    float sum = 0.0f, best = 0.0f;
    int64_t winner = -1;
    for (int64_t iy = rows.begin; iy < rows.end; ++iy)
        for (int64_t ix = columns.begin; ix < columns.end; ++ix) {
            const float v = x[((out.n * s.height + iy) * s.width + ix) * s.channels + out.c];
            sum += v;
            if (winner < 0 || v > best || (v != v && best == best)) {
                best = v;
                winner = (iy - out.y * s.stride_y + s.pad_top) * s.kernel_width + ix - out.x * s.stride_x +
                         s.pad_left;
            }
        }
    const int64_t pixels = (rows.end - rows.begin) * (columns.end - columns.begin);
    y[i] = s.average ? sum / static_cast<float>(pixels) : best;
    if (winners != nullptr && !s.average) winners[i] = static_cast<int32_t>(winner);
}

// Element i of dx.
JL_HOST_DEVICE void pool_pixel(const jl_pool& s, int64_t i, const float* dy, const int32_t* winners,
                               float* dx) {
    const PoolPixel in(i, s.height, s.width, s.channels);
    const int64_t height = pool_height(s), width = pool_width(s);
    const int64_t y = in.y + s.pad_top, x = in.x + s.pad_left;  // in the padded image
    // Windows that hold the pixel: o stride <= y < o stride + kernel
    const int64_t top = y < s.kernel_height ? 0 : (y - s.kernel_height) / s.stride_y + 1;
    const int64_t left = x < s.kernel_width ? 0 : (x - s.kernel_width) / s.stride_x + 1;
    float sum = 0.0f;
    for (int64_t oy = top; oy < height && oy * s.stride_y <= y; ++oy)
        for (int64_t ox = left; ox < width && ox * s.stride_x <= x; ++ox) {
            const int64_t j = ((in.n * height + oy) * width + ox) * s.channels + in.c;
            if (s.average) {
                const PoolWindow rows(oy, s.stride_y, s.pad_top, s.kernel_height, s.height);
                const PoolWindow columns(ox, s.stride_x, s.pad_left, s.kernel_width, s.width);
                sum += dy[j] / static_cast<float>((rows.end - rows.begin) * (columns.end - columns.begin));
            } else if (winners[j] == (y - oy * s.stride_y) * s.kernel_width + x - ox * s.stride_x) {
                sum += dy[j];
            }
        }
    dx[i] = sum;
}

// What every table refuses.
inline jl_status check_pool(const char* operation, const jl_pool* shape, const void* in, const void* out) {
    JL_REQUIRE(shape != nullptr, "%s: shape is null", operation);
    const jl_pool& s = *shape;
    JL_REQUIRE(s.batch >= 0 && s.height > 0 && s.width > 0 && s.channels > 0 && s.kernel_height > 0 &&
                   s.kernel_width > 0 && s.stride_y > 0 && s.stride_x > 0,
               "%s: batch >= 0, the other extents and strides >= 1 are needed", operation);
    JL_REQUIRE(s.kernel_height < 1 << 15 && s.kernel_width < 1 << 15,
               "%s: the window must be below 2^15, got %lldx%lld", operation,
               static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    JL_REQUIRE(std::max({s.height, s.width, s.stride_y, s.stride_x}) < int64_t{1} << 30,
               "%s: image and stride must be below 2^30", operation);
    JL_REQUIRE(s.pad_top >= 0 && s.pad_left >= 0 && s.pad_bottom >= 0 && s.pad_right >= 0 &&
                   s.pad_top < s.kernel_height && s.pad_bottom < s.kernel_height &&
                   s.pad_left < s.kernel_width && s.pad_right < s.kernel_width,
               "%s: padding must be at least 0 and less than the window", operation);
    JL_REQUIRE(s.height + s.pad_top + s.pad_bottom >= s.kernel_height &&
                   s.width + s.pad_left + s.pad_right >= s.kernel_width,
               "%s: the window %lldx%lld is larger than the padded image", operation,
               static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    JL_REQUIRE(fits({s.batch, s.height, s.width, s.channels}) &&
                   fits({s.batch, pool_height(s), pool_width(s), s.channels}),
               "%s: at most 2^38 elements are possible", operation);
    JL_REQUIRE(s.batch == 0 || (in != nullptr && out != nullptr), "%s: an array is null", operation);
    return JL_OK;
}

jl_status pool_forward(const jl_pool* shape, const float* x, float* y, int32_t* winners, jl_stream stream);
jl_status pool_backward(const jl_pool* shape, const float* dy, const int32_t* winners, float* dx,
                        jl_stream stream);

}  // namespace jlatent::JL_TABLE

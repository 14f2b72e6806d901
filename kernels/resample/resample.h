// resample: images larger by whole factors, each pixel repeated (nearest neighbour)
//
// upsample_forward    y[n,h,w,c]  = x[n, h / factor_y, w / factor_x, c]
// upsample_backward   dx[n,h,w,c] = sum_{i < factor_y, j < factor_x} dy[n, h factor_y + i, w factor_x + j, c]
//
// x, dx           [images, height, width, channels] contiguous f32 (NHWC), any alignment
// y, dy           [images, height factor_y, width factor_x, channels]; no overlap with x, dx
//                 With height = width = 1 it repeats along an axis: [outer, inner] to [outer, factor_y, inner].
// deterministic   yes: a block is summed row by row, left to right
// bytes           4 (1 + factor_y factor_x) images height width channels, each way
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

inline int64_t small_elements(const jl_upsample& s) { return s.images * s.height * s.width * s.channels; }

// What every table refuses.
inline jl_status check_upsample(const char* operation, const jl_upsample* s, const void* small,
                                const void* large) {
    JL_REQUIRE(s != nullptr, "%s: shape is null", operation);
    JL_REQUIRE(s->images >= 0 && s->height >= 0 && s->width >= 0 && s->channels >= 0,
               "%s: extents must not be negative, got [%lld, %lld, %lld, %lld]", operation,
               static_cast<long long>(s->images), static_cast<long long>(s->height),
               static_cast<long long>(s->width), static_cast<long long>(s->channels));
    JL_REQUIRE(s->factor_y >= 1 && s->factor_x >= 1, "%s: factors must be at least 1, got %lld and %lld",
               operation, static_cast<long long>(s->factor_y), static_cast<long long>(s->factor_x));
    JL_REQUIRE(fits({s->images, s->height, s->width, s->channels, s->factor_y, s->factor_x}),
               "%s: the large image has more than 2^38 elements", operation);
    JL_REQUIRE(small_elements(*s) == 0 || (small != nullptr && large != nullptr), "%s: an array is null",
               operation);
    return JL_OK;
}

jl_status upsample_forward(const jl_upsample* shape, const float* x, float* y, jl_stream stream);
jl_status upsample_backward(const jl_upsample* shape, const float* dy, float* dx, jl_stream stream);

}  // namespace jlatent::JL_TABLE

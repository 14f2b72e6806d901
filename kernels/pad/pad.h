// pad: zeros around images, or edges cut off them
//
// pad             y[n,h,w,c] = x[n, h - top, w - left, c] inside x, 0 outside
//
// x               [images, height, width, channels] contiguous f32 or bf16 (NHWC), any alignment
// y               [images, height + top + bottom, width + left + right, channels], the same type; no overlap with x.
//                 Negative padding crops: pad by -p undoes pad by p.
// deterministic   yes: copies
// bytes           an element of x that is used and one of y each
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"

namespace jlatent::JL_TABLE {

JL_HOST_DEVICE int64_t padded_height(const jl_pad& s) { return s.height + s.top + s.bottom; }
JL_HOST_DEVICE int64_t padded_width(const jl_pad& s) { return s.width + s.left + s.right; }
inline int64_t padded_elements(const jl_pad& s) {
    return s.images * padded_height(s) * padded_width(s) * s.channels;
}

// What every table refuses.
inline jl_status check_pad(const jl_pad* shape, const void* x, const void* y) {
    JL_REQUIRE(shape != nullptr, "pad: shape is null");
    const jl_pad& s = *shape;
    JL_REQUIRE(s.images >= 0 && s.height >= 0 && s.width >= 0 && s.channels >= 0,
               "pad: extents must not be negative, got [%lld, %lld, %lld, %lld]",
               static_cast<long long>(s.images), static_cast<long long>(s.height),
               static_cast<long long>(s.width), static_cast<long long>(s.channels));
    for (const int64_t edge : {s.top, s.left, s.bottom, s.right})
        JL_REQUIRE(edge > -(int64_t{1} << 38) && edge < int64_t{1} << 38, "pad: padding must be within 2^38");
    JL_REQUIRE(s.dtype == JL_F32 || s.dtype == JL_BF16, "pad: unknown type %lld",
               static_cast<long long>(s.dtype));
    JL_REQUIRE(fits({s.images, s.height, s.width, s.channels}), "pad: x has more than 2^38 elements");
    JL_REQUIRE(padded_height(s) >= 0 && padded_width(s) >= 0,
               "pad: more is cut off than an image of %lldx%lld has", static_cast<long long>(s.height),
               static_cast<long long>(s.width));
    JL_REQUIRE(fits({s.images, padded_height(s), padded_width(s), s.channels}),
               "pad: y has more than 2^38 elements");
    JL_REQUIRE(padded_elements(s) == 0 || (y != nullptr && (x != nullptr || s.height * s.width == 0)),
               "pad: an array is null");
    return JL_OK;
}

jl_status pad(const jl_pad* shape, const void* x, void* y, jl_stream stream);

}  // namespace jlatent::JL_TABLE

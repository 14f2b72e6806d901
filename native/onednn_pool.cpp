// Pooling of dense.h.
#include "onednn.h"

#include <algorithm>

namespace jlatent {
namespace {

struct Key {
    jl_pool shape;
    int64_t backward;
    int64_t winners;
};

// Of y.
struct Extents {
    int64_t height, width;
    explicit Extents(const jl_pool& s)
        : height((s.height + s.pad_top + s.pad_bottom - s.kernel_height) / s.stride_y + 1),
          width((s.width + s.pad_left + s.pad_right - s.kernel_width) / s.stride_x + 1) {}
};

dnnl::pooling_forward::primitive_desc describe(const jl_pool& s, bool winners) {
    const Extents out(s);
    const auto f32 = memory::data_type::f32;
    return {engine(),
            winners || s.average ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
            s.average ? dnnl::algorithm::pooling_avg_exclude_padding : dnnl::algorithm::pooling_max,
            stored({s.batch, s.height, s.width, s.channels}, {0, 3, 1, 2}, f32),
            stored({s.batch, out.height, out.width, s.channels}, {0, 3, 1, 2}, f32),
            {s.stride_y, s.stride_x},
            {s.kernel_height, s.kernel_width},
            {0, 0},
            {s.pad_top, s.pad_left},
            {s.pad_bottom, s.pad_right}};
}

Prepared make(const Key& key) {
    const auto forward = describe(key.shape, key.winners != 0);
    const memory::desc x = forward.src_desc(), y = forward.dst_desc(), w = forward.workspace_desc();
    Prepared p;
    if (key.backward != 0) {
        const jl_pool& s = key.shape;
        p.set_primitive(dnnl::pooling_backward(dnnl::pooling_backward::primitive_desc(
            engine(), forward.get_algorithm(), x, y, {s.stride_y, s.stride_x},
            {s.kernel_height, s.kernel_width}, {0, 0}, {s.pad_top, s.pad_left}, {s.pad_bottom, s.pad_right},
            forward)));
        p.input(DNNL_ARG_DIFF_DST, y, y);
        if (key.winners != 0) p.input(DNNL_ARG_WORKSPACE, w, w);
        p.output(DNNL_ARG_DIFF_SRC, x, x);
    } else {
        p.set_primitive(dnnl::pooling_forward(forward));
        p.input(DNNL_ARG_SRC, x, x);
        p.output(DNNL_ARG_DST, y, y);
        if (key.winners != 0) p.output(DNNL_ARG_WORKSPACE, w, w);
    }
    return p;
}

jl_status check(const jl_pool* shape) {
    JL_REQUIRE(shape != nullptr, "pool: shape is null");
    const jl_pool& s = *shape;
    JL_REQUIRE(s.batch >= 0 && s.height > 0 && s.width > 0 && s.channels > 0 && s.kernel_height > 0 &&
                   s.kernel_width > 0 && s.stride_y > 0 && s.stride_x > 0,
               "pool: batch >= 0, the other extents and strides >= 1 are needed");
    JL_REQUIRE(std::max({s.height, s.width, s.kernel_height, s.kernel_width, s.stride_y, s.stride_x}) <
                   int64_t{1} << 30,
               "pool: image, window and stride must be below 2^30");
    JL_REQUIRE(s.pad_top >= 0 && s.pad_left >= 0 && s.pad_bottom >= 0 && s.pad_right >= 0 &&
                   s.pad_top < s.kernel_height && s.pad_bottom < s.kernel_height &&
                   s.pad_left < s.kernel_width && s.pad_right < s.kernel_width,
               "pool: padding must be at least 0 and less than the window");
    JL_REQUIRE(s.height + s.pad_top + s.pad_bottom >= s.kernel_height &&
                   s.width + s.pad_left + s.pad_right >= s.kernel_width,
               "pool: the window %lldx%lld is larger than the padded image",
               static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    const Extents out(s);
    JL_REQUIRE(
        fits({s.batch, s.height, s.width, s.channels}) && fits({s.batch, out.height, out.width, s.channels}),
        "pool: at most 2^38 elements are possible, got %lldx%lldx%lldx%lld", static_cast<long long>(s.batch),
        static_cast<long long>(s.height), static_cast<long long>(s.width),
        static_cast<long long>(s.channels));
    return JL_OK;
}

}  // namespace

jl_status pool_winners_bytes(const jl_pool* shape, int64_t* bytes) {
    *bytes = 0;
    if (const jl_status status = check(shape)) return status;
    if (shape->average || shape->batch == 0) return JL_OK;
    *bytes = static_cast<int64_t>(describe(*shape, true).workspace_desc().get_size());
    return JL_OK;
}

jl_status pool(const jl_pool* shape, const float* x, float* y, void* winners) {
    if (const jl_status status = check(shape)) return status;
    if (shape->batch == 0) return JL_OK;
    JL_REQUIRE(x != nullptr && y != nullptr, "pool: an array is null");
    const Key key = {*shape, 0, winners != nullptr && !shape->average};
    run_prepared(key, make, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}, {DNNL_ARG_WORKSPACE, winners}});
    return JL_OK;
}

jl_status pool_backward(const jl_pool* shape, const float* d_y, const void* winners, float* d_x) {
    if (const jl_status status = check(shape)) return status;
    if (shape->batch == 0) return JL_OK;
    JL_REQUIRE(d_y != nullptr && d_x != nullptr, "pool_backward: an array is null");
    JL_REQUIRE(shape->average || winners != nullptr, "pool_backward: the maximum needs its winners");
    const Key key = {*shape, 1, !shape->average};
    run_prepared(key, make,
                 {{DNNL_ARG_DIFF_DST, d_y}, {DNNL_ARG_WORKSPACE, winners}, {DNNL_ARG_DIFF_SRC, d_x}});
    return JL_OK;
}

}  // namespace jlatent

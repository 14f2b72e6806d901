// Convolutions of dense.h.
#include "onednn.h"

#include <algorithm>
#include <cstring>

namespace jlatent {
namespace {

enum class Pass : int64_t { kForward, kTranspose, kWeightGradient };

struct Key {
    jl_conv shape;
    Pass pass;
    int64_t bias;
};

// Of y.
struct Extents {
    int64_t height, width;
    explicit Extents(const jl_conv& s)
        : height(extent(s.height, s.pad_top + s.pad_bottom, s.dilation_y, s.kernel_height, s.stride_y)),
          width(extent(s.width, s.pad_left + s.pad_right, s.dilation_x, s.kernel_width, s.stride_x)) {}
    static int64_t extent(int64_t in, int64_t pad, int64_t dilation, int64_t kernel, int64_t stride) {
        return (in + pad - dilation * (kernel - 1) - 1) / stride + 1;
    }
};

// Descriptors of one convolution, as stored and, for the library to choose its own layout, open.
struct Descriptors {
    explicit Descriptors(const jl_conv& s)
        : strides{s.stride_y, s.stride_x},
          dilations{s.dilation_y - 1, s.dilation_x - 1},
          before{s.pad_top, s.pad_left},
          after{s.pad_bottom, s.pad_right},
          type(data_type(s.dtype)) {
        const Extents out(s);
        x = stored({s.batch, s.height, s.width, s.channels}, {0, 3, 1, 2}, type);
        y = stored({s.batch, out.height, out.width, s.filters}, {0, 3, 1, 2}, type);
    }

    // What is written, of the shape of `like`.
    static memory::desc written(const jl_conv& s, const memory::desc& like) {
        return memory::desc(like.get_dims(), data_type(s.out_dtype), like.get_strides());
    }

    // weight [groups, filters / groups, kernel_height, kernel_width, channels / groups] as [groups, out, in,
    // y, x], where out and in swap for the transposed convolution.
    static memory::desc weight(const jl_conv& s, bool transposed, memory::data_type type) {
        const bool grouped = s.groups > 1;
        const int64_t filters = s.filters / s.groups, channels = s.channels / s.groups;
        if (!grouped)
            return stored({filters, s.kernel_height, s.kernel_width, channels},
                          transposed ? std::vector<int>{3, 0, 1, 2} : std::vector<int>{0, 3, 1, 2}, type);
        return stored({s.groups, filters, s.kernel_height, s.kernel_width, channels},
                      transposed ? std::vector<int>{0, 4, 1, 2, 3} : std::vector<int>{0, 1, 4, 2, 3}, type);
    }

    memory::dims strides, dilations, before, after;
    memory::data_type type;
    memory::desc x, y;
};

memory::desc open(const memory::desc& d) {
    return memory::desc(d.get_dims(), d.get_data_type(), memory::format_tag::any);
}

dnnl::primitive_attr attributes_of(int64_t activation) {
    dnnl::post_ops ops;
    append_activation(ops, activation);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(ops);
    return attributes;
}

// Whether some output has none but padding below its taps.
bool sees_padding_alone(int64_t in, int64_t out, int64_t pad, int64_t kernel, int64_t dilation,
                        int64_t stride) {
    for (int64_t o = 0; o < out; ++o) {
        bool sees = false;
        for (int64_t k = 0; k < kernel && !sees; ++k) {
            const int64_t i = o * stride - pad + k * dilation;
            sees = i >= 0 && i < in;
        }
        if (!sees) return true;
    }
    return false;
}
bool sees_padding_alone(const jl_conv& s) {
    const Extents out(s);
    return sees_padding_alone(s.height, out.height, s.pad_top, s.kernel_height, s.dilation_y, s.stride_y) ||
           sees_padding_alone(s.width, out.width, s.pad_left, s.kernel_width, s.dilation_x, s.stride_x);
}

constexpr auto kDirect = dnnl::algorithm::convolution_direct;
constexpr auto kTraining = dnnl::prop_kind::forward_training;

// Forward of either kind: `in` and `out` are x and y, or y and x.
template <class Primitive>
Prepared make_forward(const Key& key, const Descriptors& d, const memory::desc& in, const memory::desc& out,
                      dnnl::algorithm algorithm) {
    const memory::desc weight = Descriptors::weight(key.shape, key.pass == Pass::kTranspose, d.type);
    const memory::desc bias =
        key.bias != 0 ? memory::desc({out.get_dims()[1]}, memory::data_type::f32, memory::format_tag::a)
                      : memory::desc();
    typename Primitive::primitive_desc desc(engine(), kTraining, algorithm, in, open(weight), bias, out,
                                            d.strides, d.dilations, d.before, d.after,
                                            attributes_of(key.shape.activation));
    // There oneDNN 3.11's "brg_conv_fwd" calls kernels it has not made, with three threads for instance; its others do not.
    if (key.pass == Pass::kForward && sees_padding_alone(key.shape))
        while (std::strncmp(desc.impl_info_str(), "brg", 3) == 0 && desc.next_impl()) continue;
    Prepared p;
    p.set_primitive(Primitive(desc));
    p.input(DNNL_ARG_SRC, in, in);
    p.input(DNNL_ARG_WEIGHTS, weight, desc.weights_desc());
    if (key.bias != 0) p.input(DNNL_ARG_BIAS, bias, bias);
    p.output(DNNL_ARG_DST, out, out);
    return p;
}

Prepared make_weight_gradient(const Key& key, const Descriptors& d) {
    const memory::desc weight = Descriptors::weight(key.shape, false, d.type);
    const memory::desc gradient = Descriptors::weight(key.shape, false, memory::data_type::f32);
    const dnnl::convolution_forward::primitive_desc forward(engine(), kTraining, kDirect, d.x, open(weight),
                                                            d.y, d.strides, d.dilations, d.before, d.after);
    const dnnl::convolution_backward_weights::primitive_desc desc(
        engine(), kDirect, d.x, open(gradient), d.y, d.strides, d.dilations, d.before, d.after, forward);
    Prepared p;
    p.set_primitive(dnnl::convolution_backward_weights(desc));
    p.input(DNNL_ARG_SRC, d.x, d.x);
    p.input(DNNL_ARG_DIFF_DST, d.y, d.y);
    p.output(DNNL_ARG_DIFF_WEIGHTS, gradient, desc.diff_weights_desc());
    return p;
}

Prepared make(const Key& key) {
    const Descriptors d(key.shape);
    switch (key.pass) {
        case Pass::kForward:
            return make_forward<dnnl::convolution_forward>(key, d, d.x, d.written(key.shape, d.y), kDirect);
        case Pass::kTranspose:
            return make_forward<dnnl::deconvolution_forward>(key, d, d.y, d.written(key.shape, d.x),
                                                             dnnl::algorithm::deconvolution_direct);
        default:
            return make_weight_gradient(key, d);
    }
}

jl_status check(const jl_conv* shape) {
    JL_REQUIRE(shape != nullptr, "conv: shape is null");
    const jl_conv& s = *shape;
    JL_REQUIRE(
        s.batch >= 0 && s.height > 0 && s.width > 0 && s.channels > 0 && s.filters > 0 &&
            s.kernel_height > 0 && s.kernel_width > 0,
        "conv: batch >= 0 and the other extents >= 1 are needed, got %lldx%lldx%lldx%lld, %lld filters "
        "of %lldx%lld",
        static_cast<long long>(s.batch), static_cast<long long>(s.height), static_cast<long long>(s.width),
        static_cast<long long>(s.channels), static_cast<long long>(s.filters),
        static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    JL_REQUIRE(s.stride_y > 0 && s.stride_x > 0 && s.dilation_y > 0 && s.dilation_x > 0,
               "conv: strides and dilations must be at least 1, got %lldx%lld and %lldx%lld",
               static_cast<long long>(s.stride_y), static_cast<long long>(s.stride_x),
               static_cast<long long>(s.dilation_y), static_cast<long long>(s.dilation_x));
    JL_REQUIRE(s.pad_top >= 0 && s.pad_left >= 0 && s.pad_bottom >= 0 && s.pad_right >= 0,
               "conv: padding must not be negative");
    JL_REQUIRE(std::max({s.height, s.width, s.kernel_height, s.kernel_width}) < int64_t{1} << 30,
               "conv: image and kernel must be below 2^30");
    JL_REQUIRE(std::max({s.pad_top, s.pad_left, s.pad_bottom, s.pad_right}) < int64_t{1} << 15,
               "conv: padding must be below 2^15");
    JL_REQUIRE(std::max({s.stride_y, s.stride_x, s.dilation_y, s.dilation_x}) < int64_t{1} << 31,
               "conv: stride and dilation must be below 2^31");
    JL_REQUIRE(s.groups > 0 && s.channels % s.groups == 0 && s.filters % s.groups == 0,
               "conv: %lld groups do not divide %lld channels and %lld filters",
               static_cast<long long>(s.groups), static_cast<long long>(s.channels),
               static_cast<long long>(s.filters));
    JL_REQUIRE(s.height + s.pad_top + s.pad_bottom > s.dilation_y * (s.kernel_height - 1) &&
                   s.width + s.pad_left + s.pad_right > s.dilation_x * (s.kernel_width - 1),
               "conv: the kernel %lldx%lld is larger than the padded image",
               static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    const Extents out(s);
    JL_REQUIRE(
        fits({s.batch, s.height, s.width, s.channels}) && fits({s.batch, out.height, out.width, s.filters}) &&
            fits({s.filters, s.kernel_height, s.kernel_width, s.channels}),
        "conv: at most 2^38 elements are possible, got %lldx%lldx%lldx%lld, %lld filters of %lldx%lld",
        static_cast<long long>(s.batch), static_cast<long long>(s.height), static_cast<long long>(s.width),
        static_cast<long long>(s.channels), static_cast<long long>(s.filters),
        static_cast<long long>(s.kernel_height), static_cast<long long>(s.kernel_width));
    return JL_OK;
}

// The same convolution in numbers that the library's 32-bit arithmetic holds: no stride is longer than the
// padded image, where it takes one step all the same, and a single tap has no neighbour.
jl_conv tame(jl_conv s) {
    s.stride_y = std::min(s.stride_y, s.height + s.pad_top + s.pad_bottom);
    s.stride_x = std::min(s.stride_x, s.width + s.pad_left + s.pad_right);
    if (s.kernel_height == 1) s.dilation_y = 1;
    if (s.kernel_width == 1) s.dilation_x = 1;
    return s;
}

}  // namespace

jl_status conv(const jl_conv* shape, const void* x, const void* weight, const float* bias, void* y) {
    if (const jl_status status = check(shape)) return status;
    if (shape->batch == 0) return JL_OK;
    JL_REQUIRE(x != nullptr && weight != nullptr && y != nullptr, "conv: an array is null");
    const Key key = {tame(*shape), Pass::kForward, bias != nullptr};
    run_prepared(key, make,
                 {{DNNL_ARG_SRC, x}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, y}});
    return JL_OK;
}

jl_status conv_transpose(const jl_conv* shape, const void* y, const void* weight, const float* bias,
                         void* x) {
    if (const jl_status status = check(shape)) return status;
    if (shape->batch == 0) return JL_OK;
    JL_REQUIRE(y != nullptr && weight != nullptr && x != nullptr, "conv_transpose: an array is null");
    const Key key = {tame(*shape), Pass::kTranspose, bias != nullptr};
    run_prepared(key, make,
                 {{DNNL_ARG_SRC, y}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, x}});
    return JL_OK;
}

jl_status conv_weight_gradient(const jl_conv* shape, const void* x, const void* d_y, float* d_weight) {
    if (const jl_status status = check(shape)) return status;
    JL_REQUIRE(d_weight != nullptr && (shape->batch == 0 || (x != nullptr && d_y != nullptr)),
               "conv_weight_gradient: an array is null");
    if (shape->batch == 0) {
        const int64_t count =
            shape->filters * shape->kernel_height * shape->kernel_width * (shape->channels / shape->groups);
        std::memset(d_weight, 0, static_cast<size_t>(count) * sizeof(float));
        return JL_OK;
    }
    Key key = {tame(*shape), Pass::kWeightGradient, 0};
    key.shape.activation = JL_IDENTITY;
    run_prepared(key, make, {{DNNL_ARG_SRC, x}, {DNNL_ARG_DIFF_DST, d_y}, {DNNL_ARG_DIFF_WEIGHTS, d_weight}});
    return JL_OK;
}

}  // namespace jlatent

// Everything that is timed but the nearest codes.
#include <cmath>

#include "cases.h"

namespace bench {
namespace {

using Maker = std::function<std::function<jl_status()>(Arrays&)>;
constexpr double kAllowed = 2e-5;  // of f32 arithmetic in another order

size_t count_of(int64_t n) { return static_cast<size_t>(n); }

// ---- gaussian ----

Maker gaussian(int64_t rows, bool backward) {
    constexpr int64_t kDims = 64;
    const jl_gaussian s = {rows, kDims, 1, kDims, -INFINITY, INFINITY, 0.0f, 1};
    const size_t n = count_of(rows * kDims);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *mu = a.normals(n), *log_var = a.normals(n), *d_z = backward ? a.normals(n) : nullptr;
        const jl_random* random = a.given(std::vector<jl_random>{{7, 3, 0}});
        const float* weight = a.given(std::vector<float>{1.0f / static_cast<float>(rows)});
        const float* one = a.given(std::vector<float>{1.0f});
        float *z = a.output("z", n), *kl_rows = a.output("kl_rows", count_of(rows)),
              *kl_total = a.output("kl_total", 1);
        float *d_mu = backward ? a.output("d_mu", n) : nullptr,
              *d_log_var = backward ? a.output("d_log_var", n) : nullptr;
        const jl_workspace w = a.workspace(a.kernels().gaussian_workspace(&s));
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            const jl_status status = k.gaussian_forward(&s, mu, log_var, nullptr, random, weight, z, kl_rows,
                                                        kl_total, nullptr, nullptr, nullptr, w, a.stream());
            if (status != JL_OK || !backward) return status;
            return k.gaussian_backward(&s, mu, log_var, nullptr, random, weight, nullptr, d_z, nullptr, one,
                                       nullptr, nullptr, d_mu, d_log_var, a.stream());
        };
    };
}

// ---- likelihood ----

Maker bernoulli(int64_t rows, int64_t dims) {
    const jl_likelihood s = {rows, dims, 1, JL_BERNOULLI, 0, 0.0f, 0.0f};
    const size_t n = count_of(rows * dims);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *logits = a.normals(n), *x = a.uniform(n, 0.0f, 1.0f);
        const float* weight = a.given(std::vector<float>{1.0f / static_cast<float>(rows)});
        float *nll_rows = a.output("nll_rows", count_of(rows)), *total = a.output("nll_total", 1),
              *d_logits = a.output("d_parameters", n);
        const jl_workspace w = a.workspace(a.kernels().likelihood_workspace(&s));
        return [=, &a] {
            return a.kernels().likelihood(&s, logits, x, nullptr, weight, nll_rows, total, d_logits, w,
                                          a.stream());
        };
    };
}

// ---- adam ----

Maker adam(int32_t tensors, int64_t each) {
    return [=](Arrays& a) -> std::function<jl_status()> {
        std::vector<jl_adam_tensor> table;
        for (int32_t i = 0; i < tensors; ++i) {
            const size_t n = count_of(each);
            float *value = a.normals(n), *gradient = a.normals(n), *first = a.normals(n),
                  *second = a.uniform(n, 0.0f, 1.0f);
            a.compare("value", value, n);
            a.compare("first_moment", first, n);
            a.compare("second_moment", second, n);
            table.push_back({value, gradient, first, second, nullptr, each, 0.0f, 0.0f});
        }
        const jl_adam_tensor* descriptors = a.given(table);
        jl_adam_state begun = {};
        begun.learning_rate = 1e-3f, begun.beta1 = 0.9f, begun.beta2 = 0.999f, begun.epsilon = 1e-8f;
        begun.max_norm = 1.0f, begun.step = 10;
        jl_adam_state* state = a.given(std::vector<jl_adam_state>{begun});
        const jl_workspace w = a.workspace(a.kernels().adam_workspace(tensors));
        return [=, &a] { return a.kernels().adam_step(descriptors, tensors, state, w, a.stream()); };
    };
}

// ---- norm, softmax ----

Maker norm(jl_norm s, bool backward) {
    const size_t n = count_of(s.outer * s.spatial * s.groups * s.channels),
                 channels = count_of(s.groups * s.channels), items = count_of(s.outer * s.groups);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *x = a.normals(n), *gamma = a.normals(channels), *beta = a.normals(channels),
                    *dy = backward ? a.normals(n) : nullptr;
        float *y = a.output("y", n), *statistics = a.scratch(3 * items);
        float *dx = backward ? a.output("dx", n) : nullptr,
              *d_gamma = backward ? a.output("d_gamma", channels) : nullptr,
              *d_beta = backward ? a.output("d_beta", channels) : nullptr;
        const jl_workspace w = a.workspace(a.kernels().norm_workspace(&s));
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            const jl_status status =
                k.norm_forward(&s, x, gamma, beta, y, statistics, nullptr, nullptr, w, a.stream());
            if (status != JL_OK || !backward) return status;
            return k.norm_backward(&s, x, gamma, statistics, dy, dx, d_gamma, d_beta, w, a.stream());
        };
    };
}

Maker log_softmax(int64_t rows, int64_t columns, bool backward) {
    const size_t n = count_of(rows * columns);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *x = a.normals(n), *dy = backward ? a.normals(n) : nullptr;
        float *y = a.output("y", n), *dx = backward ? a.output("dx", n) : nullptr;
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            const jl_status status = k.softmax_forward(1, x, y, rows, columns, a.stream());
            if (status != JL_OK || !backward) return status;
            return k.softmax_backward(1, y, dy, dx, rows, columns, a.stream());
        };
    };
}

// ---- masked_conv ----

Maker masked_conv(jl_masked_conv s, bool backward) {
    const size_t pixels = count_of(s.batch * s.height * s.width), in = count_of(s.channels),
                 filters = count_of(s.filters), taps = count_of(s.kernel * s.kernel);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *x = a.normals(pixels * in), *normals = a.normals(filters * taps * in),
                    *bias = a.normals(filters);
        // As large as a layer's after its initialization, or every gate would be shut or open.
        const float* weight = a.input(filters * taps * in, [&](float* out) {
            const float* factor =
                a.given(std::vector<float>{1.0f / std::sqrt(static_cast<float>(taps * in))});
            require(a.kernels(), a.kernels().scale(normals, factor, out,
                                                   static_cast<int64_t>(filters * taps * in), a.stream()));
        });
        float* out = a.output("out", pixels * filters / 2);
        const jl_workspace w = a.workspace(a.kernels().masked_conv_workspace(&s));
        if (!backward)
            return [=, &a] {
                return a.kernels().masked_conv_forward(&s, x, weight, bias, nullptr, nullptr, out, nullptr, w,
                                                       a.stream());
            };
        const float* d_out = a.normals(pixels * filters / 2);
        float *gates = a.output("gates", pixels * filters), *d_a = a.output("d_a", pixels * filters),
              *d_x = a.output("d_x", pixels * in), *d_weight = a.output("d_weight", filters * taps * in),
              *d_bias = a.output("d_bias", filters);
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            jl_status status =
                k.masked_conv_forward(&s, x, weight, bias, nullptr, nullptr, out, gates, w, a.stream());
            if (status == JL_OK) status = k.masked_conv_backward_gate(&s, gates, d_out, d_a, a.stream());
            if (status == JL_OK) status = k.masked_conv_backward_data(&s, d_a, weight, d_x, w, a.stream());
            if (status == JL_OK)
                status = k.masked_conv_backward_weight(&s, x, d_a, d_weight, d_bias, w, a.stream());
            return status;
        };
    };
}

// ---- causal_attention ----

Maker causal_attention(jl_causal_attention s, bool backward) {
    const size_t rows = count_of(s.batch * s.heads * s.positions), n = rows * count_of(s.dims);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float *qkv = a.normals(3 * n), *d_out = backward ? a.normals(n) : nullptr;
        float *out = a.output("out", n), *log_sums = backward ? a.scratch(rows) : nullptr,
              *d_qkv = backward ? a.output("d_qkv", 3 * n) : nullptr;
        return [=, &a] {
            const jl_kernels& k = a.kernels();
            const jl_status status = k.causal_attention_forward(&s, qkv, out, log_sums, a.stream());
            if (status != JL_OK || !backward) return status;
            return k.causal_attention_backward(&s, qkv, out, log_sums, d_out, d_qkv, a.stream());
        };
    };
}

// ---- finite_scalar_quantize, l2_normalize ----

Maker finite_scalar_quantize(int64_t rows) {
    const jl_finite_scalar_quantize s = {rows, 4, {8, 5, 5, 5}};
    const size_t n = count_of(rows * s.dims);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float* x = a.normals(n);
        int32_t* codes = a.codes("codes", count_of(rows));
        float* q = a.output("q", n);
        return [=, &a] { return a.kernels().finite_scalar_quantize_forward(&s, x, codes, q, a.stream()); };
    };
}

Maker l2_normalize(int64_t rows, int64_t dims) {
    const size_t n = count_of(rows * dims);
    return [=](Arrays& a) -> std::function<jl_status()> {
        const float* x = a.normals(n);
        float* y = a.output("y", n);
        return [=, &a] { return a.kernels().l2_normalize_forward(x, y, rows, dims, 1e-12f, a.stream()); };
    };
}

}  // namespace

std::vector<Case> other_cases(Sizes size) {
    std::vector<Case> cases;
    for (int log2 : {20, 24}) {
        const int64_t rows = size((int64_t{1} << log2) / 64, 5);
        const double n = 64.0 * static_cast<double>(rows);
        const std::string end = "2^" + std::to_string(log2);
        cases.push_back({"gaussian forward " + end, 12 * n, 0, kAllowed, gaussian(rows, false)});
        cases.push_back({"gaussian forward+backward " + end, 32 * n, 0, kAllowed, gaussian(rows, true)});
    }
    const int64_t images = size(16384, 7);
    cases.push_back({"likelihood bernoulli 16384x784", 12.0 * static_cast<double>(images * 784), 0, kAllowed,
                     bernoulli(images, 784)});
    const int64_t each = size(500'000, 333);
    cases.push_back(
        {"adam 10^7 clipped", 32.0 * 20 * static_cast<double>(each), 0, kAllowed, adam(20, each)});

    const jl_norm group = {size(128, 3), size(1024, 20), 32, 4, 1e-5f, 0.1f};
    const double grouped = static_cast<double>(group.outer * group.spatial * 128);
    cases.push_back({"norm group forward 128x32x32x128", 12 * grouped, 0, kAllowed, norm(group, false)});
    cases.push_back(
        {"norm group forward+backward 128x32x32x128", 32 * grouped, 0, kAllowed, norm(group, true)});
    const jl_norm layer = {size(16384, 9), 1, 1, 1024, 1e-5f, 0.1f};
    cases.push_back({"norm layer forward+backward 16384x1024", 32.0 * static_cast<double>(layer.outer * 1024),
                     0, kAllowed, norm(layer, true)});

    const int64_t rows = size(65536, 9);
    const double n = static_cast<double>(rows * 256);
    cases.push_back({"softmax log forward 65536x256", 8 * n, 0, kAllowed, log_softmax(rows, 256, false)});
    cases.push_back(
        {"softmax log forward+backward 65536x256", 20 * n, 0, kAllowed, log_softmax(rows, 256, true)});

    jl_masked_conv conv = {size(128, 2), size(32, 5), size(32, 4), size(128, 12), size(256, 24), 3, 1,
                           JL_RASTER_B,  JL_GATE,     JL_F32};
    const double products = 2.0 * 5 * static_cast<double>(conv.batch * conv.height * conv.width) *
                            static_cast<double>(conv.channels * conv.filters);
    for (const jl_dtype factors : {JL_F32, JL_BF16}) {
        conv.factors = factors;
        const std::string name = factors == JL_F32 ? "masked_conv" : "masked_conv bf16";
        cases.push_back(
            {name + " 3x3 B gated forward 128x32x32x128", 0, products, kAllowed, masked_conv(conv, false)});
        // Sums that differ a little now and then round to another bf16.
        const double allowed = factors == JL_F32 ? kAllowed : 1e-3;
        cases.push_back({name + " 3x3 B gated forward+backward 128x32x32x128", 0, 3 * products, allowed,
                         masked_conv(conv, true)});
    }

    const jl_causal_attention attention = {size(32, 2), size(1024, 37), size(8, 2), 64};
    const double seen = static_cast<double>(attention.batch * attention.heads * attention.dims) *
                        static_cast<double>(attention.positions * attention.positions);
    cases.push_back(
        {"causal_attention forward 32x1024x8x64", 0, 2 * seen, kAllowed, causal_attention(attention, false)});
    cases.push_back({"causal_attention forward+backward 32x1024x8x64", 0, 9 * seen, kAllowed,
                     causal_attention(attention, true)});

    const int64_t scalars = size(int64_t{1} << 22, 1000);
    cases.push_back({"finite_scalar_quantize forward 2^22x4", 36.0 * static_cast<double>(scalars), 0,
                     kAllowed, finite_scalar_quantize(scalars)});
    const int64_t vectors = size(int64_t{1} << 18, 33);
    cases.push_back({"l2_normalize forward 2^18x64", 8.0 * 64 * static_cast<double>(vectors), 0, kAllowed,
                     l2_normalize(vectors, 64)});
    return cases;
}

}  // namespace bench

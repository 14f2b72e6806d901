// libjlatent_onednn: dense.h on oneDNN [Apache-2.0].
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <tuple>
#include <unordered_map>

#include "dense.h"
#include "status.h"
#include "team.h"

namespace jlatent {
namespace {

using dnnl::memory;

dnnl::engine& engine() {
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

struct Key {
    int64_t m, n, k;
    bool transpose_a, transpose_b, bias;
    int32_t activation;
    int threads;  // that the product is blocked for
    bool operator==(const Key& o) const {
        return std::tie(m, n, k, transpose_a, transpose_b, bias, activation, threads) ==
               std::tie(o.m, o.n, o.k, o.transpose_a, o.transpose_b, o.bias, o.activation, o.threads);
    }
};

struct KeyHash {
    size_t operator()(const Key& key) const {
        size_t h = 0;
        for (const int64_t part : {key.m, key.n, key.k, static_cast<int64_t>(key.threads),
                                   static_cast<int64_t>(key.transpose_a | key.transpose_b << 1 |
                                                        key.bias << 2 | key.activation << 3)})
            h = (h ^ static_cast<size_t>(part)) * 0x9E3779B97F4A7C15ull;
        return h ^ h >> 32;
    }
};

void append_activation(dnnl::post_ops& ops, int32_t activation) {
    using dnnl::algorithm;
    switch (activation) {
        case JL_IDENTITY:
            return;
        case JL_RELU:
            return ops.append_eltwise(algorithm::eltwise_relu, 0.0f, 0.0f);
        case JL_TANH:
            return ops.append_eltwise(algorithm::eltwise_tanh, 0.0f, 0.0f);
        case JL_SIGMOID:
            return ops.append_eltwise(algorithm::eltwise_logistic, 0.0f, 0.0f);
        case JL_SOFTPLUS:
            return ops.append_eltwise(algorithm::eltwise_soft_relu, 1.0f, 0.0f);
        case JL_ELU:
            return ops.append_eltwise(algorithm::eltwise_elu, 1.0f, 0.0f);
        case JL_SILU:
            return ops.append_eltwise(algorithm::eltwise_swish, 1.0f, 0.0f);
        case JL_GELU:
            return ops.append_eltwise(algorithm::eltwise_gelu_tanh, 0.0f, 0.0f);
        default:
            throw std::invalid_argument("matmul: unknown activation " + std::to_string(activation));
    }
}

// A product made ready: making one costs tens of microseconds, so each thread that runs them keeps those it
// has used.
class Product {
  public:
    explicit Product(const Key& key)
        : a_(desc({key.m, key.k}, key.transpose_a), engine(), nullptr),
          b_(desc({key.k, key.n}, key.transpose_b), engine(), nullptr),
          bias_(key.bias ? desc({1, key.n}, false) : memory::desc(), engine(), nullptr),
          out_(desc({key.m, key.n}, false), engine(), nullptr),
          stream_(engine()) {
        dnnl::post_ops ops;
        append_activation(ops, key.activation);
        dnnl::primitive_attr attributes;
        attributes.set_post_ops(ops);
        using Desc = dnnl::matmul::primitive_desc;
        const Desc desc =
            key.bias
                ? Desc(engine(), a_.get_desc(), b_.get_desc(), bias_.get_desc(), out_.get_desc(), attributes)
                : Desc(engine(), a_.get_desc(), b_.get_desc(), out_.get_desc(), attributes);
        primitive_ = dnnl::matmul(desc);
        arguments_ = {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, b_}, {DNNL_ARG_DST, out_}};
        if (key.bias) arguments_.insert({DNNL_ARG_BIAS, bias_});
    }

    void run(const float* a, const float* b, const float* bias, float* out) {
        a_.set_data_handle(const_cast<float*>(a));
        b_.set_data_handle(const_cast<float*>(b));
        if (bias != nullptr) bias_.set_data_handle(const_cast<float*>(bias));
        out_.set_data_handle(out);
        primitive_.execute(stream_, arguments_);
        stream_.wait();
    }

  private:
    static memory::desc desc(const memory::dims& extents, bool transposed) {
        const memory::dims strides = transposed ? memory::dims{1, extents[0]} : memory::dims{extents[1], 1};
        return memory::desc(extents, memory::data_type::f32, strides);
    }

    memory a_, b_, bias_, out_;
    dnnl::stream stream_;
    dnnl::matmul primitive_;
    std::unordered_map<int, memory> arguments_;
};

constexpr size_t kMostProducts = 1024;  // shapes a thread keeps; more than any model has

jl_status matmul(const jl_matmul* shape, const float* a, const float* b, const float* bias, float* out) {
    JL_REQUIRE(shape->m >= 0 && shape->n >= 0 && shape->k >= 1,
               "matmul: m, n >= 0 and k >= 1 are needed, got %lld, %lld, %lld",
               static_cast<long long>(shape->m), static_cast<long long>(shape->n),
               static_cast<long long>(shape->k));
    if (shape->m == 0 || shape->n == 0) return JL_OK;
    JL_REQUIRE(a != nullptr && b != nullptr && out != nullptr, "matmul: a matrix is null");
    in_team([=] {
        static thread_local std::unordered_map<Key, Product, KeyHash> products;
        const Key key = {shape->m,
                         shape->n,
                         shape->k,
                         shape->transpose_a != 0,
                         shape->transpose_b != 0,
                         bias != nullptr,
                         shape->activation,
                         omp_get_max_threads()};
        auto found = products.find(key);
        if (found == products.end()) {
            if (products.size() >= kMostProducts) products.clear();
            found = products.try_emplace(key, key).first;
        }
        found->second.run(a, b, bias, out);
    });
    return JL_OK;
}

void set_threads(int32_t threads) { omp_set_num_threads(threads < 1 ? 1 : threads); }

const jl_dense table = {JL_ABI_VERSION, sizeof(jl_dense), &last_error, &Entry<&matmul>::call, &set_threads};

}  // namespace
}  // namespace jlatent

extern "C" __attribute__((visibility("default"))) const jl_dense* jl_open_dense(void) {
    return &jlatent::table;
}

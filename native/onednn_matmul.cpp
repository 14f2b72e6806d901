// matmul of dense.h.
#include "onednn.h"

namespace jlatent {
namespace {

struct Key {
    jl_matmul shape;
    int64_t bias;
};

Prepared make(const Key& key) {
    const jl_matmul& s = key.shape;
    const auto type = data_type(s.dtype);
    const auto matrix = [&](int64_t rows, int64_t columns, bool transposed) {
        return transposed ? stored({columns, rows}, {1, 0}, type) : stored({rows, columns}, {0, 1}, type);
    };
    const memory::desc a = matrix(s.m, s.k, s.transpose_a != 0), b = matrix(s.k, s.n, s.transpose_b != 0);
    const memory::desc bias =
        key.bias != 0 ? stored({1, s.n}, {0, 1}, memory::data_type::f32) : memory::desc();
    const memory::desc out = stored({s.m, s.n}, {0, 1}, data_type(s.out_dtype));
    dnnl::post_ops ops;
    append_activation(ops, s.activation);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(ops);
    Prepared product;
    product.set_primitive(dnnl::matmul(dnnl::matmul::primitive_desc(engine(), a, b, bias, out, attributes)));
    product.input(DNNL_ARG_SRC, a, a);
    product.input(DNNL_ARG_WEIGHTS, b, b);
    if (key.bias != 0) product.input(DNNL_ARG_BIAS, bias, bias);
    product.output(DNNL_ARG_DST, out, out);
    return product;
}

}  // namespace

jl_status matmul(const jl_matmul* shape, const void* a, const void* b, const float* bias, void* out) {
    JL_REQUIRE(shape != nullptr, "matmul: shape is null");
    JL_REQUIRE(shape->m >= 0 && shape->n >= 0 && shape->k >= 1,
               "matmul: m, n >= 0 and k >= 1 are needed, got %lld, %lld, %lld",
               static_cast<long long>(shape->m), static_cast<long long>(shape->n),
               static_cast<long long>(shape->k));
    JL_REQUIRE(fits({shape->m, shape->k}) && fits({shape->k, shape->n}) && fits({shape->m, shape->n}),
               "matmul: at most 2^38 elements are possible, got m = %lld, n = %lld, k = %lld",
               static_cast<long long>(shape->m), static_cast<long long>(shape->n),
               static_cast<long long>(shape->k));
    if (shape->m == 0 || shape->n == 0) return JL_OK;
    JL_REQUIRE(a != nullptr && b != nullptr && out != nullptr, "matmul: a matrix is null");
    const Key key = {*shape, bias != nullptr};
    run_prepared(key, make,
                 {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, out}});
    return JL_OK;
}

}  // namespace jlatent

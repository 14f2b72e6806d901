// What the parts of libjlatent_onednn share: the engine, descriptors, and primitives kept ready by shape.
#pragma once
#include <omp.h>

#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>

#include "dense.h"
#include "status.h"
#include "team.h"

namespace jlatent {

using dnnl::memory;

dnnl::engine& engine();

// Adds `activation` after the operation; throws on one that does not exist.
void append_activation(dnnl::post_ops& ops, int64_t activation);

memory::data_type data_type(int64_t dtype);

// Contiguous elements, the last dimension running fastest, seen in another order: dimension d of the result
// is dimension order[d] of what is stored as [extents...].
memory::desc stored(const memory::dims& extents, const std::vector<int>& order, memory::data_type type);

// A primitive with its arguments: create once, then run with other addresses. Operands that the primitive
// wants in a layout of its own are reordered in and out, through memory that all primitives of a thread share.
class Prepared {
  public:
    Prepared() : stream_(engine()) {}

    void set_primitive(const dnnl::primitive& primitive) { primitive_ = primitive; }

    // An operand stored as `given`, used as `wanted`.
    void input(int argument, const memory::desc& given, const memory::desc& wanted);
    void output(int argument, const memory::desc& given, const memory::desc& wanted);

    // Addresses by argument; every operand has one.
    void run(std::initializer_list<std::pair<int, const void*>> addresses);

  private:
    struct Operand {
        memory given;
        memory inner;   // empty: the primitive takes `given` itself
        size_t offset;  // of `inner` in the thread's memory
        dnnl::reorder reorder;
        bool output;
    };
    void add(int argument, const memory::desc& given, const memory::desc& wanted, bool output);

    dnnl::stream stream_;
    dnnl::primitive primitive_;
    std::unordered_map<int, Operand> operands_;
    std::unordered_map<int, memory> arguments_;
    size_t inner_bytes_ = 0;
};

constexpr size_t kMostPrepared = 1024;  // shapes a thread keeps; more than any model has

// Runs the primitive for `key`, made by `make` the first time: making one costs tens of microseconds to
// milliseconds. Key: integers only, without padding. Each thread that runs primitives keeps its own, for each
// number of threads that it is to use: a primitive is made for one.
template <class Key, class Make>
void run_prepared(const Key& key, Make make, std::initializer_list<std::pair<int, const void*>> addresses) {
    static_assert(std::has_unique_object_representations_v<Key>, "keys are compared as bytes");
    in_team([&] {
        static thread_local std::unordered_map<std::string, Prepared> ready;
        const int threads = omp_get_max_threads();
        std::string bytes(reinterpret_cast<const char*>(&key), sizeof key);
        bytes.append(reinterpret_cast<const char*>(&threads), sizeof threads);
        auto found = ready.find(bytes);
        if (found == ready.end()) {
            if (ready.size() >= kMostPrepared) ready.clear();
            found = ready.emplace(bytes, make(key)).first;
        }
        found->second.run(addresses);
    });
}

// The table's entries; see dense.h.
jl_status matmul(const jl_matmul* shape, const void* a, const void* b, const float* bias, void* out);
jl_status conv(const jl_conv* shape, const void* x, const void* weight, const float* bias, void* y);
jl_status conv_transpose(const jl_conv* shape, const void* y, const void* weight, const float* bias, void* x);
jl_status conv_weight_gradient(const jl_conv* shape, const void* x, const void* d_y, float* d_weight);
jl_status pool_winners_bytes(const jl_pool* shape, int64_t* bytes);
jl_status pool(const jl_pool* shape, const float* x, float* y, void* winners);
jl_status pool_backward(const jl_pool* shape, const float* d_y, const void* winners, float* d_x);

}  // namespace jlatent

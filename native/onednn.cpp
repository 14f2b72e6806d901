// libjlatent_onednn: dense.h on oneDNN [Apache-2.0].
#include "onednn.h"

#include <omp.h>

#include <algorithm>
#include <cstdlib>

namespace jlatent {

dnnl::engine& engine() {
    static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
    return cpu;
}

void append_activation(dnnl::post_ops& ops, int64_t activation) {
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
            throw std::invalid_argument("unknown activation " + std::to_string(activation));
    }
}

memory::data_type data_type(int64_t dtype) {
    if (dtype != JL_F32 && dtype != JL_BF16)
        throw std::invalid_argument("unknown dtype " + std::to_string(dtype));
    constexpr auto kNeeded =
        static_cast<unsigned>(dnnl::cpu_isa::avx512_core);  // each includes what is older
    if (dtype == JL_BF16 && (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kNeeded) != kNeeded)
        throw std::invalid_argument("bf16 needs a CPU with AVX-512, use f32");
    return dtype == JL_BF16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc stored(const memory::dims& extents, const std::vector<int>& order, memory::data_type type) {
    memory::dims strides(extents.size(), 1);
    for (size_t d = extents.size() - 1; d > 0; --d) strides[d - 1] = strides[d] * extents[d];
    memory::dims seen_extents, seen_strides;
    for (const int d : order) {
        seen_extents.push_back(extents[static_cast<size_t>(d)]);
        seen_strides.push_back(strides[static_cast<size_t>(d)]);
    }
    return memory::desc(seen_extents, type, seen_strides);
}

namespace {

constexpr size_t kAlignment = 64;  // a cache line

// At least so many bytes, the calling thread's until its next call: no more than its largest primitive needs,
// however many it keeps.
char* thread_memory(size_t bytes) {
    struct Memory {
        void* data = nullptr;
        size_t bytes = 0;
        ~Memory() { std::free(data); }
    };
    static thread_local Memory kept;
    if (kept.bytes < bytes) {
        std::free(kept.data);
        kept.bytes = 0;
        kept.data = std::aligned_alloc(kAlignment, bytes);
        if (kept.data == nullptr) throw std::bad_alloc();
        kept.bytes = bytes;
    }
    return static_cast<char*>(kept.data);
}

}  // namespace

void Prepared::input(int argument, const memory::desc& given, const memory::desc& wanted) {
    add(argument, given, wanted, false);
}

void Prepared::output(int argument, const memory::desc& given, const memory::desc& wanted) {
    add(argument, given, wanted, true);
}

void Prepared::add(int argument, const memory::desc& given, const memory::desc& wanted, bool output) {
    Operand operand = {memory(given, engine(), nullptr), memory(), inner_bytes_, dnnl::reorder(), output};
    if (given != wanted) {
        operand.inner = memory(wanted, engine(), nullptr);
        inner_bytes_ += (wanted.get_size() + kAlignment - 1) / kAlignment * kAlignment;
        operand.reorder = output ? dnnl::reorder(operand.inner, operand.given)
                                 : dnnl::reorder(operand.given, operand.inner);
    }
    arguments_[argument] = operand.inner ? operand.inner : operand.given;
    operands_.insert_or_assign(argument, operand);
}

void Prepared::run(std::initializer_list<std::pair<int, const void*>> addresses) {
    for (const auto& [argument, address] : addresses) {
        const auto found = operands_.find(argument);
        if (found != operands_.end()) found->second.given.set_data_handle(const_cast<void*>(address));
    }
    if (inner_bytes_ != 0) {
        char* inner = thread_memory(inner_bytes_);
        for (auto& [argument, operand] : operands_)
            if (operand.inner) operand.inner.set_data_handle(inner + operand.offset);
    }
    for (auto& [argument, operand] : operands_)
        if (operand.inner && !operand.output) operand.reorder.execute(stream_, operand.given, operand.inner);
    primitive_.execute(stream_, arguments_);
    for (auto& [argument, operand] : operands_)
        if (operand.inner && operand.output) operand.reorder.execute(stream_, operand.inner, operand.given);
    stream_.wait();
}

namespace {

// OpenMP ends the process when the system refuses it a thread.
void set_threads(int32_t threads) {
    const int most = std::max(omp_get_num_procs(), 64);
    omp_set_num_threads(std::clamp(threads, 1, most));
}

#define JL_ENTRY(launcher) &Entry<&launcher>::call

const jl_dense table = {
    JL_ABI_VERSION,
    sizeof(jl_dense),
    &last_error,
    JL_ENTRY(matmul),
    JL_ENTRY(conv),
    JL_ENTRY(conv_transpose),
    JL_ENTRY(conv_weight_gradient),
    JL_ENTRY(pool_winners_bytes),
    JL_ENTRY(pool),
    JL_ENTRY(pool_backward),
    &set_threads,
};

}  // namespace
}  // namespace jlatent

extern "C" __attribute__((visibility("default"))) const jl_dense* jl_open_dense(void) {
    return &jlatent::table;
}

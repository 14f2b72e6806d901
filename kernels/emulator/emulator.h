// The emulator's runtime: CUDA blocks on the CPU, every CUDA thread a fiber. Ordinary launches run block by
// block; cooperative ones run all blocks at once, or a grid barrier would never end. What a GPU would leave
// undefined (a divergent barrier, a shuffle with lanes missing, threads that wait for ever) ends the launch
// with an error that says where.
//
// The order in which threads run is shuffled, always in the same way, and some warps run far ahead of others;
// JLATENT_EMULATOR_ORDER=forward|reverse|shuffle:SEED sets another. x86-64 Linux only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

enum cudaError_t { cudaSuccess = 0, cudaErrorInvalidConfiguration = 9, cudaErrorLaunchFailure = 719 };
using cudaStream_t = struct CUstream_st*;
const char* cudaGetErrorString(cudaError_t error);  // of a launch failure: what happened, and where

namespace jlatent::emulator {

struct LaunchConfig {
    dim3 grid, block;
    size_t shared_bytes;  // dynamic
    bool cooperative;     // all blocks at once; grid_sync() works
};

struct Thread;  // defined by the runtime

// What a running CUDA thread can ask about itself.
struct Current {
    Thread* thread;
    dim3 thread_index, block_index, block_dim, grid_dim;
    unsigned lane;
};
extern Current current;

// Each waits until its partners have come. `where` names the place, for errors.
void sync_threads(const char* where);
void sync_warp(uint32_t mask, const char* where);
void sync_grid(const char* where);
enum class Shuffle { kIndex, kXor, kUp, kDown };
uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t value, int operand, const char* where);
uint32_t ballot(uint32_t mask, bool predicate, const char* where);

// Memory of the running block: one array a declaration (`tag`), filled with 0xFF; and the dynamic part.
void* shared_array(const void* tag, size_t bytes);
void* dynamic_shared();

cudaError_t launch(const LaunchConfig& config, void (*body)(void*), void* argument);

// Arguments are copied, as CUDA copies them.
template <class... Parameters>
cudaError_t launch(const LaunchConfig& config, void (*kernel)(Parameters...), Parameters... arguments) {
    struct Call {
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> arguments;
    } call = {kernel, {arguments...}};
    return launch(
        config,
        [](void* p) {
            Call& c = *static_cast<Call*>(p);
            std::apply(c.kernel, c.arguments);
        },
        &call);
}

template <class T>
T shuffle_value(Shuffle kind, uint32_t mask, T value, int operand, const char* where) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "shuffles move 4 or 8 bytes");
    uint64_t bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    bits = shuffle(kind, mask, bits, operand, where);
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace jlatent::emulator

// The emulator's runtime: CUDA blocks on the CPU, every CUDA thread a fiber. Ordinary launches run block by
// block; cooperative ones run all blocks at once, or a grid barrier would never end, and clusters all of theirs. What a GPU would leave
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
    size_t shared_bytes;            // dynamic
    bool cooperative;               // all blocks at once; grid_sync() works
    cudaStream_t stream = nullptr;  // of the stub of libcuda, or ignored
    unsigned cluster = 1;           // blocks of it run at once; cluster_sync() works
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
void sync_cluster(const char* where);
enum class Shuffle { kIndex, kXor, kUp, kDown };
uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t value, int operand, const char* where);
uint32_t ballot(uint32_t mask, bool predicate, const char* where);

// Tensor cores, by a whole warp; common/mma.h has the names that kernels use.
enum class Factors { kF16, kBf16 };
void multiply(Factors type, float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
              const char* where);
void exchange_rows(uint32_t (&out)[4], const uint16_t (&row)[8], bool transposed, const char* where);

// cp.async: 16 bytes, or 4, that arrive when the thread waits for their group.
struct Arrival {
    void* to;
    uint64_t words[2];  // of 8 bytes, or one of 4
    bool wide;
};
void copy_later(const Arrival& copy);
void end_copy_group();
bool next_arrival(unsigned groups_left, Arrival* copy);  // of a group older than the youngest groups_left

// An address that must be a multiple of so many bytes.
[[noreturn]] void misaligned(size_t bytes, const char* where);

// Memory of the running block: one array a declaration (`tag`), filled with 0xFF; and the dynamic part.
void* shared_array(const void* tag, size_t bytes);
void* dynamic_shared();

cudaError_t launch(const LaunchConfig& config, void (*body)(void*), void* argument);

// A launch that its stream may keep: until it gets that far, or as part of a graph.
struct Work {
    int (*run)(void* self);  // a cudaError_t
    void (*forget)(void* self);
    void* self;
};
// Whether the stream takes the work over, as streams of the stub of libcuda do (native/stubs); all others run it at once.
bool queue(cudaStream_t stream, const Work& work);

// Arguments are copied, as CUDA copies them.
template <class... Parameters>
cudaError_t launch(const LaunchConfig& config, void (*kernel)(Parameters...), Parameters... arguments) {
    struct Call {
        LaunchConfig config;
        void (*kernel)(Parameters...);
        std::tuple<Parameters...> arguments;
        cudaError_t run() {
            return launch(
                config,
                [](void* p) {
                    Call& c = *static_cast<Call*>(p);
                    std::apply(c.kernel, c.arguments);
                },
                this);
        }
    };
    Call* call = new Call{config, kernel, {arguments...}};
    const Work work = {[](void* p) -> int { return static_cast<Call*>(p)->run(); },
                       [](void* p) { delete static_cast<Call*>(p); }, call};
    if (config.stream != nullptr && queue(config.stream, work)) return cudaSuccess;
    const cudaError_t error = call->run();
    delete call;
    return error;
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

// What follows is inline, and so the kernel's own reads and writes: sanitizers see them.

// Lane l's row is row l % 8 of matrix l / 8.
inline void load_matrices_from(uint32_t (&out)[4], const uint16_t* row, bool transposed, const char* where) {
    uint16_t own[8];
    const bool aligned = (reinterpret_cast<uintptr_t>(row) & 15) == 0;
    for (int i = 0; i < 8 && aligned; ++i) own[i] = row[i];
    if (!aligned) misaligned(16, where);
    exchange_rows(out, own, transposed, where);
}

// Zeros where not live: then `from` is not read. Until they arrive, the bytes are those of NaN.
template <class Word, int kWords>
void copy_async(const char* where, void* to, const void* from, bool live = true) {
    constexpr size_t kBytes = sizeof(Word) * kWords;
    if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from)) % kBytes != 0)
        misaligned(kBytes, where);
    Arrival copy = {to, {0, 0}, kWords == 2};
    for (int i = 0; i < kWords; ++i) {
        if (live) copy.words[i] = static_cast<const Word*>(from)[i];
        static_cast<Word*>(to)[i] = ~Word{0};
    }
    copy_later(copy);
}

inline void copy_async_arrive(unsigned groups_left) {
    Arrival copy;
    while (next_arrival(groups_left, &copy))
        if (copy.wide) {
            static_cast<uint64_t*>(copy.to)[0] = copy.words[0];
            static_cast<uint64_t*>(copy.to)[1] = copy.words[1];
        } else {
            *static_cast<uint32_t*>(copy.to) = static_cast<uint32_t>(copy.words[0]);
        }
}

}  // namespace jlatent::emulator

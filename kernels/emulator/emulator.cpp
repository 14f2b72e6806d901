// The runtime. Never instrumented by a sanitizer itself: JL_EMULATOR_ASAN and JL_EMULATOR_TSAN make it
// announce the switches between fibers, and what orders them, to the sanitizer of the kernels.
#include "emulator.h"

#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#ifdef JL_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef JL_EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

// Saves the callee's registers on the old stack, its pointer in *save, and continues where `to` was left.
extern "C" void jl_switch_stack(void** save, void* to);
asm(R"(
.text
.type jl_switch_stack,@function
jl_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size jl_switch_stack,.-jl_switch_stack
)");

namespace jlatent::emulator {

Current current;

namespace {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kPage = 4096;
constexpr unsigned kWarp = 32;
constexpr unsigned kMostThreads = 1024;
constexpr size_t kConcurrentBlocks = 3;  // of an ordinary launch: what one writes, another may read too early
constexpr size_t kMostStatic = 48 << 10, kMostDynamic = 227 << 10;

// A stack with an unmapped page below it, and what the sanitizers know of it.
struct Stack {
    char* base;
    void* tsan = nullptr;

    Stack() {
        char* all = static_cast<char*>(
            mmap(nullptr, kPage + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (all == MAP_FAILED) throw std::bad_alloc();
        mprotect(all, kPage, PROT_NONE);
        base = all + kPage;
#ifdef JL_EMULATOR_TSAN
        tsan = __tsan_create_fiber(0);
#endif
    }
    ~Stack() {
#ifdef JL_EMULATOR_TSAN
        __tsan_destroy_fiber(tsan);
#endif
        munmap(base - kPage, kPage + kStackBytes);
    }
    Stack(const Stack&) = delete;
};

// A place where orderings meet, for TSan: whoever has released before is seen by whoever acquires after.
struct Ordering {
    char token = 0;
    void release() {
#ifdef JL_EMULATOR_TSAN
        __tsan_release(&token);
#endif
    }
    void acquire() {
#ifdef JL_EMULATOR_TSAN
        __tsan_acquire(&token);
#endif
    }
};

// While it lives, what the runtime does in a thread's name (allocate, fill) is no access of that thread's,
// for TSan.
struct Unseen {
#ifdef JL_EMULATOR_TSAN
    Unseen() {
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~Unseen() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
#else
    Unseen() {}
#endif
};

struct Block;

struct Warp {
    Thread* lanes[kWarp] = {};
    uint32_t all = 0, alive = 0, arrived = 0;
    Ordering ordering;
};

enum class Operation { kNone, kBlock, kGrid, kWarp, kShuffle, kBallot };

}  // namespace

struct Thread {
    Block* block;
    Warp* warp;
    unsigned linear, lane;
    dim3 index;
    Stack* stack = nullptr;  // while it runs
    void* stack_pointer = nullptr;
    void* fake_stack = nullptr;
    // What it waits for.
    Operation operation = Operation::kNone;
    const char* where = "";
    uint32_t mask = 0;
    Shuffle kind = Shuffle::kIndex;
    int operand = 0;
    uint64_t value = 0, result = 0;
};

namespace {

struct Shared {
    const void* tag;
    void* memory;
};

struct Block {
    dim3 index;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<Shared> shared;
    size_t shared_bytes = 0;
    void* dynamic = nullptr;
    unsigned live, waiting = 0;
    Ordering ordering;

    Block(dim3 index_, const LaunchConfig& config) : index(index_) {
        const dim3 b = config.block;
        live = b.x * b.y * b.z;
        threads.resize(live);
        warps.resize((live + kWarp - 1) / kWarp);
        for (unsigned i = 0; i < live; ++i) {
            Thread& t = threads[i];
            t.block = this;
            t.warp = &warps[i / kWarp];
            t.linear = i;
            t.lane = i % kWarp;
            t.index = dim3(i % b.x, i / b.x % b.y, i / (b.x * b.y));
            t.warp->lanes[t.lane] = &t;
            t.warp->all |= 1u << t.lane;
        }
        for (Warp& w : warps) w.alive = w.all;
        if (config.shared_bytes != 0) dynamic = poisoned(config.shared_bytes);
    }
    ~Block() {
        for (const Shared& s : shared) free(s.memory);
        free(dynamic);
    }
    Block(const Block&) = delete;

    // Shared memory starts as NaN; its exact size lets ASan see an index past the end.
    static void* poisoned(size_t bytes) {
        void* memory = nullptr;
        if (posix_memalign(&memory, 16, bytes) != 0) throw std::bad_alloc();
        memset(memory, 0xFF, bytes);
        return memory;
    }
};

struct Order {
    enum { kForward, kReverse, kShuffle } kind = kShuffle;
    uint64_t seed = 1;

    static Order from_environment() {
        Order order;
        const char* text = getenv("JLATENT_EMULATOR_ORDER");
        if (text == nullptr) return order;
        if (strcmp(text, "forward") == 0) order.kind = kForward;
        if (strcmp(text, "reverse") == 0) order.kind = kReverse;
        if (strncmp(text, "shuffle:", 8) == 0) order.seed = strtoull(text + 8, nullptr, 10);
        return order;
    }
};

// One launch at a time: device code is serialised, as on one stream.
std::mutex launch_mutex;
thread_local std::string failure = "no launch has failed";

class Launch {
  public:
    Launch(const LaunchConfig& config, void (*body)(void*), void* argument)
        : config_(config),
          body_(body),
          argument_(argument),
          order_(Order::from_environment()),
          random_(order_.seed * 0x9E3779B97F4A7C15ull | 1) {}

    cudaError_t run() {
        const dim3 g = config_.grid, b = config_.block;
        const uint64_t threads = uint64_t{b.x} * b.y * b.z;
        if (threads < 1 || threads > kMostThreads || g.x < 1 || g.y < 1 || g.z < 1 || g.y > 65535 ||
            g.z > 65535 || config_.shared_bytes > kMostDynamic) {
            failure = "invalid launch configuration: grid " + text(g) + ", block " + text(b) + ", " +
                      std::to_string(config_.shared_bytes) + " bytes of dynamic shared memory";
            return cudaErrorInvalidConfiguration;
        }
#ifdef JL_EMULATOR_TSAN
        main_tsan_ = __tsan_get_current_fiber();
#endif
        std::vector<std::unique_ptr<Block>> together;
        for (unsigned z = 0; z < g.z && !failed_; ++z)
            for (unsigned y = 0; y < g.y && !failed_; ++y)
                for (unsigned x = 0; x < g.x && !failed_; ++x) {
                    together.push_back(std::make_unique<Block>(dim3(x, y, z), config_));
                    if (!config_.cooperative && together.size() == kConcurrentBlocks) {
                        run_blocks(together);
                        together.clear();
                    }
                }
        if (!failed_ && !together.empty()) run_blocks(together);
        return failed_ ? cudaErrorLaunchFailure : cudaSuccess;
    }

    // Ends the launch from inside a thread: it never runs on.
    [[noreturn]] void fail(const std::string& what) {
        const Thread& t = *current.thread;
        failed_ = true;
        failure = "block " + text(t.block->index) + ", thread " + text(t.index) + ": " + what;
        leave();
        abort();  // the scheduler does not come back
    }

    void wait_block(const char* where) {
        Thread& me = *current.thread;
        Block& block = *me.block;
        me.operation = Operation::kBlock;
        me.where = where;
        block.ordering.release();
        if (++block.waiting == block.live) release_block(block);
        leave();
        block.ordering.acquire();
    }

    void wait_grid(const char* where) {
        if (!config_.cooperative) fail("grid.sync() needs a cooperative launch");
        Thread& me = *current.thread;
        me.operation = Operation::kGrid;
        me.where = where;
        grid_ordering_.release();
        if (++grid_waiting_ == grid_live_) release_grid();
        leave();
        grid_ordering_.acquire();
    }

    void wait_warp(Operation operation, uint32_t mask, const char* where) {
        Thread& me = *current.thread;
        Warp& warp = *me.warp;
        me.operation = operation;
        me.where = where;
        me.mask = mask;
        if ((mask >> me.lane & 1) == 0)
            fail(std::string(where) + ": the calling lane is not in its own mask");
        if ((mask & warp.all & ~warp.alive) != 0)
            fail(std::string(where) + ": the mask names a lane that has exited");
        warp.ordering.release();
        const uint32_t needed = mask & warp.all;
        warp.arrived |= 1u << me.lane;
        if ((warp.arrived & needed) == needed) {
            warp.arrived &= ~needed;
            resolve(warp, needed, me);
        }
        leave();
        warp.ordering.acquire();
    }

    void* shared(const void* tag, size_t bytes) {
        Block& block = *current.thread->block;
        for (const Shared& s : block.shared)
            if (s.tag == tag) return s.memory;
        const Unseen unseen;
        block.shared_bytes += bytes;
        if (block.shared_bytes > kMostStatic) fail("more than 48 KiB of static shared memory");
        block.shared.push_back({tag, Block::poisoned(bytes)});
        return block.shared.back().memory;
    }

    static Launch* running;

  private:
    static std::string text(dim3 d) {
        return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
    }

    void run_blocks(const std::vector<std::unique_ptr<Block>>& blocks) {
        ready_.clear();
        blocks_ = &blocks;
        grid_waiting_ = grid_live_ = 0;
        for (const auto& block : blocks) {
            grid_live_ += block->live;
            for (Thread& t : block->threads) ready_.push_back(&t);
        }
        start_.release();
        unsigned running = grid_live_;
        std::vector<Thread*> round;
        while (running != 0 && !failed_) {
            round.swap(ready_);
            ready_.clear();
            if (round.empty()) {
                failed_ = true;
                failure = "deadlock: " + waiting_places(blocks);
                break;
            }
            arrange(round);
            for (Thread* t : round) {
                enter(*t);
                if (failed_) break;
                if (t->stack == nullptr) --running;
            }
        }
        end_.acquire();
        for (const auto& block : blocks)  // after a failure: threads that never ended
            for (Thread& t : block->threads)
                if (t.stack != nullptr) put_stack(t);
    }

    void arrange(std::vector<Thread*>& round) {
        if (order_.kind == Order::kReverse) {
            for (size_t i = 0, j = round.size() - 1; i < j; ++i, --j) std::swap(round[i], round[j]);
        } else if (order_.kind == Order::kShuffle) {
            for (size_t i = round.size() - 1; i > 0; --i) {
                random_ ^= random_ << 13;
                random_ ^= random_ >> 7;
                random_ ^= random_ << 17;
                std::swap(round[i], round[static_cast<size_t>((random_ >> 32) * (i + 1) >> 32)]);
            }
        }
    }

    static std::string waiting_places(const std::vector<std::unique_ptr<Block>>& blocks) {
        std::string all;
        for (const auto& block : blocks)
            for (const Thread& t : block->threads) {
                if (t.stack == nullptr || all.find(t.where) != std::string::npos) continue;
                all += (all.empty() ? "threads wait for ever in " : " and in ") + std::string(t.where);
            }
        return all;
    }

    // ---- switching ----

    void enter(Thread& t) {
        current = {&t, t.index, t.block->index, config_.block, config_.grid, t.lane};
        if (t.stack == nullptr) {
            t.stack = take_stack();
            // What jl_switch_stack pops: six registers, then the address it returns to; aligned as at a call.
            void** top = reinterpret_cast<void**>(t.stack->base + kStackBytes);
            *--top = nullptr;
            *--top = reinterpret_cast<void*>(&first_frame);
            top -= 6;
            memset(top, 0, 6 * sizeof(void*));
            t.stack_pointer = top;
            t.fake_stack = nullptr;
        }
#ifdef JL_EMULATOR_ASAN
        __sanitizer_start_switch_fiber(&main_fake_stack_, t.stack->base, kStackBytes);
#endif
#ifdef JL_EMULATOR_TSAN
        __tsan_switch_to_fiber(t.stack->tsan, 1);
#endif
        jl_switch_stack(&main_stack_pointer_, t.stack_pointer);
#ifdef JL_EMULATOR_ASAN
        __sanitizer_finish_switch_fiber(main_fake_stack_, nullptr, nullptr);
#endif
        if (ended_) {
            ended_ = false;
            put_stack(t);
        }
    }

    // From a thread back to the scheduler; returns when the thread is entered again.
    void leave() {
        Thread& t = *current.thread;
#ifdef JL_EMULATOR_ASAN
        __sanitizer_start_switch_fiber(ended_ ? nullptr : &t.fake_stack, main_stack_, main_stack_bytes_);
#endif
#ifdef JL_EMULATOR_TSAN
        __tsan_switch_to_fiber(main_tsan_, 1);
#endif
        jl_switch_stack(&t.stack_pointer, main_stack_pointer_);
#ifdef JL_EMULATOR_ASAN
        __sanitizer_finish_switch_fiber(t.fake_stack, nullptr, nullptr);
#endif
    }

    static void first_frame() {
        Launch& launch = *running;
#ifdef JL_EMULATOR_ASAN
        __sanitizer_finish_switch_fiber(nullptr, &launch.main_stack_, &launch.main_stack_bytes_);
#endif
        launch.start_.acquire();
        launch.body_(launch.argument_);
        launch.end_.release();
        Thread& me = *current.thread;
        Block& block = *me.block;
        me.warp->alive &= ~(1u << me.lane);
        for (unsigned l = 0; l < kWarp; ++l) {
            const Thread* other = me.warp->lanes[l];
            if ((me.warp->arrived >> l & 1) != 0 && (other->mask >> me.lane & 1) != 0)
                launch.fail(std::string(other->where) + ": the mask names a lane that has exited");
        }
        --block.live;
        --launch.grid_live_;
        // Those who wait may have waited for this thread alone.
        if (block.live != 0 && block.waiting == block.live) launch.release_block(block);
        if (launch.grid_live_ != 0 && launch.grid_waiting_ == launch.grid_live_) launch.release_grid();
        launch.ended_ = true;
        launch.leave();
        abort();  // an ended thread is not entered again
    }

    Stack* take_stack() {
        if (stacks_.empty()) return new Stack;
        Stack* stack = stacks_.back().release();
        stacks_.pop_back();
        return stack;
    }

    void put_stack(Thread& t) {
#ifdef JL_EMULATOR_ASAN
        __asan_unpoison_memory_region(t.stack->base, kStackBytes);
#endif
        stacks_.emplace_back(t.stack);
        t.stack = nullptr;
    }

    // ---- partners have come ----

    void wake(Thread& t) {
        const Unseen unseen;
        t.operation = Operation::kNone;
        ready_.push_back(&t);
    }

    void release_block(Block& block) {
        const char* where = nullptr;
        for (const Thread& t : block.threads) {
            if (t.operation != Operation::kBlock) continue;
            if (where != nullptr && strcmp(where, t.where) != 0)
                fail("a barrier is reached at different places: " + std::string(where) + " and " + t.where);
            where = t.where;
        }
        block.waiting = 0;
        for (Thread& t : block.threads)
            if (t.operation == Operation::kBlock) wake(t);
    }

    void release_grid() {
        grid_waiting_ = 0;
        for (const auto& block : *blocks_)
            for (Thread& t : block->threads)
                if (t.operation == Operation::kGrid) wake(t);
    }

    void resolve(Warp& warp, uint32_t lanes, const Thread& last) {
        uint32_t votes = 0;
        for (unsigned l = 0; l < kWarp; ++l) {
            if ((lanes >> l & 1) == 0) continue;
            const Thread& t = *warp.lanes[l];
            if (t.operation != last.operation || t.mask != last.mask || t.kind != last.kind)
                fail("lanes of a warp disagree: " + std::string(t.where) + " and " + last.where);
            if (t.value != 0) votes |= 1u << l;
        }
        for (unsigned l = 0; l < kWarp; ++l) {
            if ((lanes >> l & 1) == 0) continue;
            Thread& t = *warp.lanes[l];
            if (t.operation == Operation::kBallot) t.result = votes;
            if (t.operation == Operation::kShuffle) {
                const unsigned from = source(t);
                if ((lanes >> from & 1) == 0)
                    fail(std::string(t.where) + ": reads lane " + std::to_string(from) +
                         ", which is not in the mask");
                t.result = warp.lanes[from]->value;
            }
        }
        for (unsigned l = 0; l < kWarp; ++l)
            if ((lanes >> l & 1) != 0) wake(*warp.lanes[l]);
    }

    static unsigned source(const Thread& t) {
        const int lane = static_cast<int>(t.lane);
        const int from = t.kind == Shuffle::kIndex ? t.operand & 31
                         : t.kind == Shuffle::kXor ? lane ^ t.operand
                         : t.kind == Shuffle::kUp  ? lane - t.operand
                                                   : lane + t.operand;
        return static_cast<unsigned>(from < 0 || from > 31 ? lane : from);
    }

    const LaunchConfig config_;
    void (*const body_)(void*);
    void* const argument_;
    const Order order_;
    uint64_t random_;
    std::vector<Thread*> ready_;
    const std::vector<std::unique_ptr<Block>>* blocks_ = nullptr;  // those that run now
    unsigned grid_live_ = 0, grid_waiting_ = 0;
    Ordering start_, end_, grid_ordering_;
    bool failed_ = false, ended_ = false;
    void* main_stack_pointer_ = nullptr;
    const void* main_stack_ = nullptr;
    size_t main_stack_bytes_ = 0;
    void* main_fake_stack_ = nullptr;
    void* main_tsan_ = nullptr;
    static std::vector<std::unique_ptr<Stack>> stacks_;  // free ones, kept from launch to launch
};

Launch* Launch::running = nullptr;
std::vector<std::unique_ptr<Stack>> Launch::stacks_;

}  // namespace

void sync_threads(const char* where) { Launch::running->wait_block(where); }
void sync_grid(const char* where) { Launch::running->wait_grid(where); }
void sync_warp(uint32_t mask, const char* where) {
    Launch::running->wait_warp(Operation::kWarp, mask, where);
}

uint64_t shuffle(Shuffle kind, uint32_t mask, uint64_t value, int operand, const char* where) {
    Thread& me = *current.thread;
    me.kind = kind;
    me.value = value;
    me.operand = operand;
    Launch::running->wait_warp(Operation::kShuffle, mask, where);
    return me.result;
}

uint32_t ballot(uint32_t mask, bool predicate, const char* where) {
    Thread& me = *current.thread;
    me.value = predicate;
    Launch::running->wait_warp(Operation::kBallot, mask, where);
    return static_cast<uint32_t>(me.result);
}

void* shared_array(const void* tag, size_t bytes) { return Launch::running->shared(tag, bytes); }
void* dynamic_shared() { return current.thread->block->dynamic; }

cudaError_t launch(const LaunchConfig& config, void (*body)(void*), void* argument) {
    const std::lock_guard<std::mutex> lock(launch_mutex);
    Launch launch(config, body, argument);
    Launch::running = &launch;
    const cudaError_t error = launch.run();
    Launch::running = nullptr;
    return error;
}

}  // namespace jlatent::emulator

const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaSuccess ? "no error" : jlatent::emulator::failure.c_str();
}

// Launches: blocks and their memory, and the order in which their threads run. The runtime is never
// instrumented by a sanitizer itself; see fiber.h.
#include "emulator.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "running.h"

namespace jlatent::emulator {

Current current;
Launch* Launch::running = nullptr;

namespace {

constexpr unsigned kMostThreads = 1024;
constexpr size_t kConcurrentBlocks = 3;  // of an ordinary launch: what one writes, another may read too early
constexpr unsigned kMostCluster = 8;     // what every GPU with clusters can do
constexpr size_t kMostStatic = 48 << 10, kMostDynamic = 227 << 10;

// One launch at a time: device code is serialised, as on one stream.
std::mutex launch_mutex;
thread_local std::string failure = "no launch has failed";

std::string text(dim3 d) {
    return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}

std::string waiting_places(const std::vector<std::unique_ptr<Block>>& blocks) {
    std::string all;
    for (const auto& block : blocks)
        for (const Thread& t : block->threads) {
            if (t.stack == nullptr || all.find(t.where) != std::string::npos) continue;
            all += (all.empty() ? "threads wait for ever in " : " and in ") + std::string(t.where);
        }
    return all;
}

}  // namespace

Block::Block(dim3 index_, const LaunchConfig& config) : index(index_) {
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
    for (Warp& w : warps) {
        w.alive = w.all;
        turns.push_back(&w);
    }
    if (config.shared_bytes != 0) dynamic = poisoned(config.shared_bytes);
}

Block::~Block() {
    for (const Shared& s : shared) free(s.memory);
    free(dynamic);
}

void* Block::poisoned(size_t bytes) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 16, bytes) != 0) throw std::bad_alloc();
    memset(memory, 0xFF, bytes);
    return memory;
}

Order Order::from_environment() {
    Order order;
    uint64_t seed = 1;
    if (const char* text = getenv("JLATENT_EMULATOR_ORDER")) {
        if (strcmp(text, "forward") == 0) order.kind_ = kForward;
        if (strcmp(text, "reverse") == 0) order.kind_ = kReverse;
        if (strncmp(text, "shuffle:", 8) == 0) seed = strtoull(text + 8, nullptr, 10);
    }
    order.random_ = seed * 0x9E3779B97F4A7C15ull | 1;
    return order;
}

uint64_t Order::next() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return random_ >> 32;
}

template <class T>
void Order::shuffle(std::vector<T>& all) {
    for (size_t i = all.size() - 1; i > 0; --i)
        std::swap(all[i], all[static_cast<size_t>(next() * (i + 1) >> 32)]);
}

void Order::arrange(std::vector<Thread*>& round) {
    if (kind_ == kForward) std::reverse(round.begin(), round.end());
    if (kind_ == kShuffle) shuffle(round);
}

void Order::let_go(Block& block) {
    if (kind_ != kShuffle) return;
    shuffle(block.turns);
    for (Warp& warp : block.warps) warp.ahead = (next() & 1) != 0;
}

Launch::Launch(const LaunchConfig& config, void (*body)(void*), void* argument)
    : config_(config), body_(body), argument_(argument), order_(Order::from_environment()) {}

cudaError_t Launch::run() {
    const dim3 g = config_.grid, b = config_.block;
    const uint64_t threads = uint64_t{b.x} * b.y * b.z;
    if (threads < 1 || threads > kMostThreads || g.x < 1 || g.y < 1 || g.z < 1 || g.y > 65535 ||
        g.z > 65535 || config_.shared_bytes > kMostDynamic || config_.cluster < 1 ||
        config_.cluster > kMostCluster || g.x % config_.cluster != 0) {
        failure = "invalid launch configuration: grid " + text(g) + ", block " + text(b) + ", " +
                  std::to_string(config_.shared_bytes) + " bytes of dynamic shared memory, clusters of " +
                  std::to_string(config_.cluster);
        return cudaErrorInvalidConfiguration;
    }
    std::vector<std::unique_ptr<Block>> together;
    for (unsigned z = 0; z < g.z && !failed_; ++z)
        for (unsigned y = 0; y < g.y && !failed_; ++y)
            for (unsigned x = 0; x < g.x && !failed_; ++x) {
                together.push_back(std::make_unique<Block>(dim3(x, y, z), config_));
                if (!config_.cooperative && together.size() >= kConcurrentBlocks &&
                    together.size() % config_.cluster == 0) {
                    run_blocks(together);
                    together.clear();
                }
            }
    if (!failed_ && !together.empty()) run_blocks(together);
    return failed_ ? cudaErrorLaunchFailure : cudaSuccess;
}

void Launch::run_blocks(const std::vector<std::unique_ptr<Block>>& blocks) {
    round_.clear();
    next_round_.clear();
    blocks_ = &blocks;
    grid_waiting_ = grid_live_ = 0;
    clusters_.assign(blocks.size() / config_.cluster, {});
    for (size_t i = 0; i < blocks.size(); ++i) {
        const auto& block = blocks[i];
        block->cluster = &clusters_[i / config_.cluster];
        block->cluster->blocks.push_back(block.get());
        block->cluster->live += block->live;
        grid_live_ += block->live;
        order_.let_go(*block);
        for (Thread& t : block->threads) next_round_.push_back(&t);
    }
    start_.release();
    unsigned running = grid_live_;
    while (running != 0 && !failed_) {
        if (round_.empty()) {
            if (next_round_.empty()) {
                failed_ = true;
                failure = "deadlock: " + waiting_places(blocks);
                break;
            }
            round_.swap(next_round_);
            order_.arrange(round_);
        }
        Thread& t = *round_.back();
        round_.pop_back();
        current = {&t, t.index, t.block->index, config_.block, config_.grid, t.lane};
        fibers_.enter(t, first_frame);
        if (t.stack == nullptr) --running;
    }
    end_.acquire();
    for (const auto& block : blocks)  // after a failure: threads that never ended
        for (Thread& t : block->threads)
            if (t.stack != nullptr) Fibers::drop(t);
}

void Launch::first_frame() {
    Launch& launch = *running;
    launch.fibers_.begin();
    launch.start_.acquire();
    launch.body_(launch.argument_);
    launch.end_.release();
    Thread& me = *current.thread;
    launch.thread_ends(me);
    launch.fibers_.end(me);
}

void Launch::fail(const std::string& what) {
    Thread& t = *current.thread;
    failed_ = true;
    failure = "block " + text(t.block->index) + ", thread " + text(t.index) + ": " + what;
    fibers_.leave(t);
    abort();  // the scheduler does not come back
}

void* Launch::shared(const void* tag, size_t bytes) {
    Block& block = *current.thread->block;
    for (const Block::Shared& s : block.shared)
        if (s.tag == tag) return s.memory;
    block.shared_bytes += bytes;
    if (block.shared_bytes > kMostStatic) fail("more than 48 KiB of static shared memory");
    const Unseen unseen;
    block.shared.push_back({tag, Block::poisoned(bytes)});
    return block.shared.back().memory;
}

void* shared_array(const void* tag, size_t bytes) { return Launch::running->shared(tag, bytes); }
void* dynamic_shared() { return current.thread->block->dynamic; }

bool queue(cudaStream_t stream, const Work& work) {
    using Queue = int (*)(cudaStream_t, int (*)(void*), void (*)(void*), void*);
    static const Queue queue_on_stub = []() -> Queue {
        void* driver = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY);
        return driver == nullptr ? nullptr : reinterpret_cast<Queue>(dlsym(driver, "cuStubQueue"));
    }();
    return queue_on_stub != nullptr && queue_on_stub(stream, work.run, work.forget, work.self) != 0;
}

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

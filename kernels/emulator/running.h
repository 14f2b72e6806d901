// A launch while it runs: its blocks, warps and threads. emulator.cpp schedules them; partners.cpp lets them
// wait for each other, and finds what a GPU would leave undefined.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "emulator.h"
#include "fiber.h"

namespace jlatent::emulator {

constexpr unsigned kWarp = 32;

struct Block;

// Neighbouring blocks that wait for each other.
struct Cluster {
    std::vector<Block*> blocks;
    unsigned live = 0, waiting = 0;
    Ordering ordering;
};

struct Warp {
    Thread* lanes[kWarp] = {};
    uint32_t all = 0, alive = 0, arrived = 0;
    bool ahead = false;  // runs on as soon as it can, rather than in the next round
    Ordering ordering;
};

enum class Operation {
    kNone,
    kBlock,
    kGrid,
    kCluster,
    kWarp,
    kShuffle,
    kBallot,
    kMultiply,
    kMultiplyBf16,
    kRows,
    kColumns
};

struct Thread : Fiber {
    Block* block;
    Warp* warp;
    unsigned linear, lane;
    dim3 index;
    // What it waits for.
    Operation operation = Operation::kNone;
    const char* where = "";
    uint32_t mask = 0;
    Shuffle kind = Shuffle::kIndex;
    int operand = 0;
    uint64_t value = 0, result = 0;
    const void* given = nullptr;  // of matrices: what the lane gives, and where it wants the result
    void* wanted = nullptr;
    std::vector<Arrival> copies;  // that have not arrived, in order
    std::vector<size_t> groups;   // how many of them each ended group has
    size_t ungrouped = 0;
};

struct Block {
    struct Shared {
        const void* tag;
        void* memory;
    };

    dim3 index;
    Cluster* cluster = nullptr;
    std::vector<Thread> threads;
    std::vector<Warp> warps;
    std::vector<Warp*> turns;  // the same, in the order in which a barrier last let them go
    std::vector<Shared> shared;
    size_t shared_bytes = 0;
    void* dynamic = nullptr;
    unsigned live, waiting = 0;
    Ordering ordering;

    Block(dim3 index, const LaunchConfig& config);
    ~Block();
    Block(const Block&) = delete;

    // Shared memory starts as NaN; its exact size lets ASan see an index past the end.
    static void* poisoned(size_t bytes);
};

// The order in which the threads that can run do run: round by round. When shuffled, some warps run ahead from
// one barrier to the next while others have yet to take their first step.
class Order {
  public:
    static Order from_environment();
    void arrange(std::vector<Thread*>& round);  // the last comes first
    void let_go(Block& block);                  // of the start or a barrier: new turns, and who runs ahead

  private:
    uint64_t next();
    template <class T>
    void shuffle(std::vector<T>& all);

    enum { kForward, kReverse, kShuffle } kind_ = kShuffle;
    uint64_t random_ = 1;
};

// The matrix operations, once all lanes have come; matrices.cpp.
void resolve_matrix(Operation operation, Thread* const* lanes);

class Launch {
  public:
    Launch(const LaunchConfig& config, void (*body)(void*), void* argument);
    cudaError_t run();

    // ---- from inside a thread ----

    // Ends the launch: the thread never runs on.
    [[noreturn]] void fail(const std::string& what);

    void wait_block(const char* where);
    void wait_grid(const char* where);
    void wait_cluster(const char* where);
    void wait_warp(Operation operation, uint32_t mask, const char* where);
    void wait_matrix(Operation operation, const void* given, void* wanted, const char* where);
    void* shared(const void* tag, size_t bytes);

    static Launch* running;

  private:
    void run_blocks(const std::vector<std::unique_ptr<Block>>& blocks);
    static void first_frame();

    // Those who wait may have waited for the thread that arrives or ends now.
    void thread_ends(Thread& me);
    void release_block(Block& block);
    void release_grid();
    void release_cluster(Cluster& cluster);
    void resolve(Warp& warp, uint32_t lanes, const Thread& last);
    void wake(Block& block, Operation from);
    void wake(Thread& t);

    const LaunchConfig config_;
    void (*const body_)(void*);
    void* const argument_;
    Order order_;
    Fibers fibers_;
    std::vector<Thread*> round_, next_round_;
    const std::vector<std::unique_ptr<Block>>* blocks_ = nullptr;  // those that run now
    unsigned grid_live_ = 0, grid_waiting_ = 0;
    std::vector<Cluster> clusters_;  // of these
    Ordering start_, end_, grid_ordering_;
    bool failed_ = false;
};

}  // namespace jlatent::emulator

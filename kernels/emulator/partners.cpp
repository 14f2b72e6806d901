// Barriers, shuffles and votes: who waits for whom, and the faults that shows.
#include <cstring>

#include "running.h"

namespace jlatent::emulator {

void Launch::wait_block(const char* where) {
    Thread& me = *current.thread;
    Block& block = *me.block;
    me.operation = Operation::kBlock;
    me.where = where;
    block.ordering.release();
    if (++block.waiting == block.live) release_block(block);
    fibers_.leave(me);
    block.ordering.acquire();
}

void Launch::wait_grid(const char* where) {
    if (!config_.cooperative) fail("grid.sync() needs a cooperative launch");
    Thread& me = *current.thread;
    me.operation = Operation::kGrid;
    me.where = where;
    grid_ordering_.release();
    if (++grid_waiting_ == grid_live_) release_grid();
    fibers_.leave(me);
    grid_ordering_.acquire();
}

void Launch::wait_cluster(const char* where) {
    Thread& me = *current.thread;
    Cluster& cluster = *me.block->cluster;
    if (config_.cluster == 1) fail("cluster.sync() needs a launch in clusters");
    me.operation = Operation::kCluster;
    me.where = where;
    cluster.ordering.release();
    if (++cluster.waiting == cluster.live) release_cluster(cluster);
    fibers_.leave(me);
    cluster.ordering.acquire();
}

void Launch::wait_warp(Operation operation, uint32_t mask, const char* where) {
    Thread& me = *current.thread;
    Warp& warp = *me.warp;
    me.operation = operation;
    me.where = where;
    me.mask = mask;
    if ((mask >> me.lane & 1) == 0) fail(std::string(where) + ": the calling lane is not in its own mask");
    if ((mask & warp.all & ~warp.alive) != 0)
        fail(std::string(where) + ": the mask names a lane that has exited");
    warp.ordering.release();
    const uint32_t needed = mask & warp.all;
    warp.arrived |= 1u << me.lane;
    if ((warp.arrived & needed) == needed) {
        warp.arrived &= ~needed;
        resolve(warp, needed, me);
    }
    fibers_.leave(me);
    warp.ordering.acquire();
}

void Launch::wait_matrix(Operation operation, const void* given, void* wanted, const char* where) {
    Thread& me = *current.thread;
    if (me.warp->all != 0xffffffffu) fail(std::string(where) + ": needs all 32 lanes of a warp");
    me.given = given;
    me.wanted = wanted;
    wait_warp(operation, 0xffffffffu, where);
}

void Launch::thread_ends(Thread& me) {
    Block& block = *me.block;
    me.warp->alive &= ~(1u << me.lane);
    for (unsigned l = 0; l < kWarp; ++l) {
        const Thread* other = me.warp->lanes[l];
        if ((me.warp->arrived >> l & 1) != 0 && (other->mask >> me.lane & 1) != 0)
            fail(std::string(other->where) + ": the mask names a lane that has exited");
    }
    --block.live;
    --grid_live_;
    Cluster& cluster = *block.cluster;
    --cluster.live;
    if (block.live != 0 && block.waiting == block.live) release_block(block);
    if (grid_live_ != 0 && grid_waiting_ == grid_live_) release_grid();
    if (cluster.live != 0 && cluster.waiting == cluster.live) release_cluster(cluster);
}

void Launch::wake(Thread& t) {
    const Unseen unseen;
    t.operation = Operation::kNone;
    (t.warp->ahead ? round_ : next_round_).push_back(&t);
}

void Launch::wake(Block& block, Operation from) {
    order_.let_go(block);
    for (const Warp* warp : block.turns)
        for (Thread* t : warp->lanes)
            if (t != nullptr && t->operation == from) wake(*t);
}

void Launch::release_block(Block& block) {
    const char* where = nullptr;
    for (const Thread& t : block.threads) {
        if (t.operation != Operation::kBlock) continue;
        if (where != nullptr && strcmp(where, t.where) != 0)
            fail("a barrier is reached at different places: " + std::string(where) + " and " + t.where);
        where = t.where;
    }
    block.waiting = 0;
    wake(block, Operation::kBlock);
}

void Launch::release_grid() {
    grid_waiting_ = 0;
    for (const auto& block : *blocks_) wake(*block, Operation::kGrid);
}

void Launch::release_cluster(Cluster& cluster) {
    cluster.waiting = 0;
    for (Block* block : cluster.blocks) wake(*block, Operation::kCluster);
}

namespace {

// The lane that a shuffle reads; its own where that would be outside the warp.
unsigned source(const Thread& t) {
    const int lane = static_cast<int>(t.lane);
    const int from = t.kind == Shuffle::kIndex ? t.operand & 31
                     : t.kind == Shuffle::kXor ? lane ^ t.operand
                     : t.kind == Shuffle::kUp  ? lane - t.operand
                                               : lane + t.operand;
    return static_cast<unsigned>(from < 0 || from > 31 ? lane : from);
}

}  // namespace

void Launch::resolve(Warp& warp, uint32_t lanes, const Thread& last) {
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
    if (last.operation >= Operation::kMultiply) resolve_matrix(last.operation, warp.lanes);
    for (unsigned l = 0; l < kWarp; ++l)
        if ((lanes >> l & 1) != 0) wake(*warp.lanes[l]);
}

// ---- what kernels call; see emulator.h ----

void sync_threads(const char* where) { Launch::running->wait_block(where); }
void sync_grid(const char* where) { Launch::running->wait_grid(where); }
void sync_cluster(const char* where) { Launch::running->wait_cluster(where); }
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

}  // namespace jlatent::emulator

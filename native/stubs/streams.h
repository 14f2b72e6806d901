// Streams, events and graphs of the stub of libcuda. Work is done as late as CUDA may do it: when somebody waits for it. So
// what forgets to wait is found out, not only on a GPU.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace stub {

constexpr int kCaptureUnsupported = 900, kCaptureInvalidated = 901;

using Task = std::function<int()>;  // a CUresult: what a kernel's fault leaves for later

struct Graph {
    std::vector<Task> nodes;
};

// Of one thread at a time, as the Java side uses it.
struct Stream {
    std::deque<Task> queued;
    uint64_t added = 0, done = 0;
    int fault = 0;
    std::unique_ptr<Graph> capture;  // being recorded
    bool invalid = false;            // and in vain
    std::thread::id recorder;        // by this thread

    void add(Task task) {
        if (capture != nullptr) {
            capture->nodes.push_back(std::move(task));
            return;
        }
        queued.push_back(std::move(task));
        ++added;
    }

    // Everything up to the `last` task that was added. The first fault, or 0; after it nothing is done any more.
    int run(uint64_t last) {
        for (; done < last; ++done) {
            if (fault == 0) fault = queued.front()();
            queued.pop_front();
        }
        return fault;
    }
    int run() { return run(added); }

    // For what waits or allocates: not by the thread that is recording a graph, and then that is over.
    bool refuses() {
        const bool bad = capture != nullptr && recorder == std::this_thread::get_id();
        invalid = invalid || bad;
        return bad;
    }
};

struct Event {
    Stream* stream = nullptr;
    uint64_t after = 0;  // so many tasks of it
};

inline std::set<Stream*>& streams() {
    static std::set<Stream*> all;
    return all;
}

inline Stream* stream_of(void* handle) {
    const auto found = streams().find(static_cast<Stream*>(handle));
    return found == streams().end() ? nullptr : *found;
}

// All work of all streams: what calls without a stream wait for.
inline int run_all() {
    int fault = 0;
    for (Stream* stream : streams()) {
        const int status = stream->run();
        if (fault == 0) fault = status;
    }
    return fault;
}

}  // namespace stub

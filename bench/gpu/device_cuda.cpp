#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "device.h"

namespace bench {
namespace {

void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

cudaStream_t stream() {
    static cudaStream_t only = [] {
        cudaStream_t made = nullptr;
        check(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "create a stream");
        return made;
    }();
    return only;
}

// Times between events, microseconds.
class Events {
  public:
    explicit Events(int count) : events_(static_cast<size_t>(count)) {
        for (cudaEvent_t& event : events_) check(cudaEventCreate(&event), "create an event");
    }
    Events(const Events&) = delete;
    Events& operator=(const Events&) = delete;
    ~Events() {
        for (cudaEvent_t event : events_) cudaEventDestroy(event);
    }
    void record(int i) { check(cudaEventRecord(events_[static_cast<size_t>(i)], stream()), "record"); }
    std::vector<double> between() const {
        check(cudaStreamSynchronize(stream()), "run");
        std::vector<double> us;
        for (size_t i = 0; i + 1 < events_.size(); ++i) {
            float ms = 0.0f;
            check(cudaEventElapsedTime(&ms, events_[i], events_[i + 1]), "time");
            us.push_back(1e3 * static_cast<double>(ms));
        }
        return us;
    }

  private:
    std::vector<cudaEvent_t> events_;
};

}  // namespace

jl_stream device_stream() { return reinterpret_cast<jl_stream>(stream()); }

void* device_allocate(size_t bytes) {
    void* p = nullptr;
    check(cudaMalloc(&p, bytes), "allocate");
    return p;
}

void device_free(void* p) { cudaFree(p); }

void device_copy_in(void* device, const void* host, size_t bytes) {
    check(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, stream()), "copy in");
    check(cudaStreamSynchronize(stream()), "copy in");
}

void device_copy_out(void* host, const void* device, size_t bytes) {
    check(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream()), "copy out");
    check(cudaStreamSynchronize(stream()), "copy out");
}

size_t device_cache_bytes() {
    int bytes = 0;
    check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "ask for the cache's size");
    return static_cast<size_t>(bytes);
}

std::vector<double> time_launches(int warm_ups, int count, const Launch& launch) {
    Events events(count + 1);
    for (int i = 0; i < warm_ups; ++i) launch(i);
    events.record(0);
    for (int i = 0; i < count; ++i) {
        launch(warm_ups + i);
        events.record(i + 1);
    }
    return events.between();
}

std::vector<double> time_graph(int count, int replays, const Launch& launch) {
    constexpr int kWarmUps = 3;
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t replayed = nullptr;
    check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "begin a capture");
    try {
        for (int i = 0; i < count; ++i) launch(i);
    } catch (...) {
        cudaStreamEndCapture(stream(), &graph);  // or the stream stays in capture
        throw;
    }
    check(cudaStreamEndCapture(stream(), &graph), "end a capture");
    check(cudaGraphInstantiate(&replayed, graph, 0), "instantiate a graph");
    Events events(replays + 1);
    for (int i = 0; i < kWarmUps; ++i) check(cudaGraphLaunch(replayed, stream()), "replay");
    events.record(0);
    for (int i = 0; i < replays; ++i) {
        check(cudaGraphLaunch(replayed, stream()), "replay");
        events.record(i + 1);
    }
    std::vector<double> us = events.between();
    for (double& time : us) time /= count;
    cudaGraphExecDestroy(replayed);
    cudaGraphDestroy(graph);
    return us;
}

}  // namespace bench

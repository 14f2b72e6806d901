// The device that is measured: CUDA's (device_cuda.cpp); or, to try the program itself where there is none, the host
// with the emulated table (device_host.cpp).
#pragma once
#include <cstddef>
#include <functional>
#include <vector>

#include "jlatent.h"

namespace bench {

jl_stream device_stream();
void* device_allocate(size_t bytes);
void device_free(void* p);
void device_copy_in(void* device, const void* host, size_t bytes);
void device_copy_out(void* host, const void* device, size_t bytes);  // waits for the stream
size_t device_cache_bytes();                                         // of the second-level cache

// Enqueues launch i.
using Launch = std::function<void(int i)>;

// Microseconds of each of `count` launches, after as many more as `warm_ups`. The host never waits in between.
std::vector<double> time_launches(int warm_ups, int count, const Launch& launch);

// Microseconds a launch in each of `replays` replays of a graph of `count`; empty where the device has no graphs.
std::vector<double> time_graph(int count, int replays, const Launch& launch);

}  // namespace bench

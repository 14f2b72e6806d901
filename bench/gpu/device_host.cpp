#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>

#include "device.h"

namespace bench {

jl_stream device_stream() { return nullptr; }

void* device_allocate(size_t bytes) {
    constexpr size_t kAlignment = 256;
    void* p = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

void device_free(void* p) { std::free(p); }
void device_copy_in(void* device, const void* host, size_t bytes) { std::memcpy(device, host, bytes); }
void device_copy_out(void* host, const void* device, size_t bytes) { std::memcpy(host, device, bytes); }
size_t device_cache_bytes() { return 1 << 10; }  // so that sets take turns here too

std::vector<double> time_launches(int warm_ups, int count, const Launch& launch) {
    using Clock = std::chrono::steady_clock;
    for (int i = 0; i < warm_ups; ++i) launch(i);
    std::vector<double> us;
    for (int i = 0; i < count; ++i) {
        const Clock::time_point start = Clock::now();
        launch(warm_ups + i);
        us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
    }
    return us;
}

std::vector<double> time_graph(int, int, const Launch&) { return {}; }

}  // namespace bench

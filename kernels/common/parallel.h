// What every _cpu.cpp shares: loops over the cores whose results do not depend on how many there are.
#pragma once
#include "host_device.h"
#include "jlatent.h"
#include "status.h"
#include "team.h"

namespace jlatent::JL_TABLE {

// Below this many elements a parallel region costs more than it saves.
constexpr int64_t kSerialElements = 16 * 1024;

// body(i) for i in [0, count); `elements` is the work in all. Each i writes its own outputs.
template <class Body>
void parallel_for(int64_t count, int64_t elements, Body body) {
    if (elements < kSerialElements || count < 2) {
        for (int64_t i = 0; i < count; ++i) body(i);
        return;
    }
    in_team([=] {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < count; ++i) body(i);
    });
}

constexpr size_t kWorkspaceHeader = 256;  // unused on the CPU; the layout is the CUDA one

inline float* workspace_floats(jl_workspace w) {
    return reinterpret_cast<float*>(static_cast<char*>(w.data) + kWorkspaceHeader);
}

// Partial sums are added in index order, so the total is the same at every number of threads.
inline float ordered_sum(const float* partial, int64_t count) {
    double sum = 0.0;
    for (int64_t i = 0; i < count; ++i) sum += partial[i];
    return static_cast<float>(sum);
}

}  // namespace jlatent::JL_TABLE

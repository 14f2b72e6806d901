// libcuda.so.1 for tests: the driver calls that java/cuda makes. See stub.h.
#include <malloc.h>

#include <map>
#include <mutex>

#include "streams.h"
#include "stub.h"

namespace {

constexpr int kInvalidValue = 1, kOutOfMemory = 2, kInvalidContext = 201, kNotReady = 600,
              kIllegalAddress = 700, kLaunchFailed = 719;
constexpr size_t kTotal = size_t{1} << 30;

// One call at a time: the driver may be called from any thread.
std::recursive_mutex mutex;
#define LOCKED const std::lock_guard<std::recursive_mutex> lock(mutex)

size_t used = 0;
int contexts = 0;  // retained
thread_local void* current = nullptr;
char primary;
int fault_of_work = 0;               // what some kernel left; it stands for all calls
int kernels = 0;                     // queued since the test asked for a fault of one
std::map<const char*, size_t> host;  // page-locked

using stub::Event;
using stub::Graph;
using stub::Stream;
using stub::stream_of;

// Calls that need a context, as all but a few do. The answer "fault" is what a kernel left: it stands for all of them.
int in_context(const char* name, const std::string& arguments = "") {
    int fault = fault_of_work;
    if (fault != 0 || stub::answer("fault", &fault)) {
        stub::called(name, arguments);
        return fault;
    }
    if (const int status = stub::called(name, arguments)) return status;
    return current == nullptr ? kInvalidContext : 0;
}

// The same for a call that may not come while a graph is recorded on the stream.
int outside_capture(void* stream, const char* name, const std::string& arguments = "") {
    if (const int status = in_context(name, arguments)) return status;
    Stream* on = stream_of(stream);
    return on != nullptr && on->refuses() ? stub::kCaptureUnsupported : 0;
}

void after(int fault) {
    if (fault_of_work == 0) fault_of_work = fault;
}

// What is queued on a stream; without one, after all others.
int queue(void* stream, stub::Task task) {
    if (Stream* on = stream_of(stream)) {
        on->add(std::move(task));
        return 0;
    }
    after(stub::run_all());
    return task();
}

int allocate(const char* name, void* stream, void** address, size_t bytes) {
    if (const int status = outside_capture(stream, name, std::to_string(bytes))) return status;
    if (bytes == 0) return kInvalidValue;
    if (bytes > kTotal - used) return kOutOfMemory;
    *address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    used += malloc_usable_size(*address);
    std::memset(*address, 0xFF, bytes);  // NaN: what reads memory that nobody has written shows
    return 0;
}

bool is_page_locked(const void* address) {
    const auto next = host.upper_bound(static_cast<const char*>(address));
    if (next == host.begin()) return false;
    const auto& [start, bytes] = *std::prev(next);
    return static_cast<const char*>(address) < start + bytes;
}

}  // namespace

STUB int cuInit(unsigned flags) { return stub::called("cuInit", "%u", flags); }
STUB int cuDriverGetVersion(int* version) {
    if (!stub::answer("cuDriverGetVersion", version)) *version = 13000;
    return 0;
}
STUB int cuDeviceGet(int* device, int ordinal) {
    *device = ordinal;
    return stub::called("cuDeviceGet", "%d", ordinal);
}
STUB int cuCtxGetDevice(int* device) {
    LOCKED;
    *device = 0;
    return in_context("cuCtxGetDevice");
}
STUB int cuDeviceGetCount(int* count) {
    *count = 1;
    return stub::called("cuDeviceGetCount");
}
STUB int cuDeviceGetName(char* name, int length, int) {
    std::snprintf(name, static_cast<size_t>(length), "stub");
    return stub::called("cuDeviceGetName");
}
STUB int cuDeviceGetAttribute(int* value, int attribute, int) {
    int ignored = 0;
    *value = stub::answer("no_memory_pools", &ignored) ? 0 : 1;
    return stub::called("cuDeviceGetAttribute", "%d", attribute);
}
STUB int cuDevicePrimaryCtxRetain(void** context, int) {
    LOCKED;
    if (const int status = stub::called("cuDevicePrimaryCtxRetain")) return status;
    ++contexts;
    *context = &primary;
    return 0;
}
STUB int cuDevicePrimaryCtxRelease_v2(int) {
    LOCKED;
    if (const int status = stub::called("cuDevicePrimaryCtxRelease")) return status;
    --contexts;
    if (contexts == 0) fault_of_work = kernels = 0;  // the next one is a new one
    return contexts < 0 ? kInvalidContext : 0;
}
STUB int cuCtxSetCurrent(void* context) {
    LOCKED;
    current = context;
    return 0;  // not noted: it comes before everything
}
STUB int cuCtxGetCurrent(void** context) {
    *context = current;
    return 0;
}
STUB int cuStreamCreate(void** stream, unsigned flags) {
    LOCKED;
    if (const int status = in_context("cuStreamCreate", std::to_string(flags))) return status;
    *stream = *stub::streams().insert(new Stream).first;
    return 0;
}
STUB int cuStreamDestroy_v2(void* stream) {
    LOCKED;
    if (Stream* s = stream_of(stream)) {
        after(s->run());
        stub::streams().erase(s);
        delete s;
    }
    return in_context("cuStreamDestroy");
}
STUB int cuStreamSynchronize(void* stream) {
    LOCKED;
    if (const int status = outside_capture(stream, "cuStreamSynchronize")) return status;
    Stream* s = stream_of(stream);
    after(s == nullptr ? stub::run_all() : s->run());
    return fault_of_work;
}
STUB int cuStreamQuery(void* stream) {
    LOCKED;
    if (const int status = outside_capture(stream, "cuStreamQuery")) return status;
    Stream* s = stream_of(stream);
    return s != nullptr && s->done < s->added ? kNotReady : 0;
}
STUB int cuStreamWriteValue32_v2(void* stream, void* address, uint32_t value, unsigned flags) {
    LOCKED;
    if (const int status = in_context("cuStreamWriteValue32", std::to_string(flags))) return status;
    if (!is_page_locked(address)) return kInvalidValue;
    return queue(stream, [=] {
        std::memcpy(address, &value, sizeof value);
        return 0;
    });
}
// For the other stubs and the emulator: whether the work was taken over.
STUB int cuStubQueue(void* stream, int (*run)(void*), void (*forget)(void*), void* self) {
    LOCKED;
    Stream* s = stream_of(stream);
    if (s == nullptr) return 0;
    const std::shared_ptr<void> kept(self, forget);
    int bad = 0;  // which one of the work from now on is to fail
    if (stub::answer("kernel_fault", &bad) && ++kernels == bad) {
        s->add([kept] { return kIllegalAddress; });
        return 1;
    }
    s->add([run, kept] { return run(kept.get()) == 0 ? 0 : kLaunchFailed; });
    return 1;
}

STUB int cuEventCreate(Event** event, unsigned flags) {
    LOCKED;
    if (const int status = in_context("cuEventCreate", std::to_string(flags))) return status;
    *event = new Event;
    return 0;
}
STUB int cuEventRecord(Event* event, void* stream) {
    LOCKED;
    if (const int status = outside_capture(stream, "cuEventRecord")) return status;
    Stream* s = stream_of(stream);
    if (s == nullptr) return kInvalidValue;
    *event = {s, s->added};
    return 0;
}
STUB int cuEventSynchronize(Event* event) {
    LOCKED;
    if (const int status = in_context("cuEventSynchronize")) return status;
    if (event->stream != nullptr) after(event->stream->run(event->after));
    return fault_of_work;
}
STUB int cuEventDestroy_v2(Event* event) {
    LOCKED;
    delete event;
    return in_context("cuEventDestroy");
}

STUB int cuStreamBeginCapture_v2(void* stream, int mode) {
    LOCKED;
    if (const int status = in_context("cuStreamBeginCapture", std::to_string(mode))) return status;
    Stream* s = stream_of(stream);
    if (s == nullptr || s->capture != nullptr) return kInvalidValue;
    s->capture = std::make_unique<Graph>();
    s->invalid = false;
    s->recorder = std::this_thread::get_id();
    return 0;
}
STUB int cuStreamEndCapture(void* stream, Graph** graph) {
    LOCKED;
    *graph = nullptr;
    if (const int status = in_context("cuStreamEndCapture")) return status;
    Stream* s = stream_of(stream);
    if (s == nullptr || s->capture == nullptr) return kInvalidValue;
    const std::unique_ptr<Graph> captured = std::move(s->capture);
    if (s->invalid) return stub::kCaptureInvalidated;
    *graph = new Graph(*captured);
    return 0;
}
STUB int cuGraphInstantiateWithFlags(Graph** executable, Graph* graph, unsigned long long flags) {
    LOCKED;
    if (const int status = in_context("cuGraphInstantiate", std::to_string(flags))) return status;
    *executable = new Graph(*graph);
    return 0;
}
STUB int cuGraphLaunch(Graph* executable, void* stream) {
    LOCKED;
    if (const int status = outside_capture(stream, "cuGraphLaunch", std::to_string(executable->nodes.size())))
        return status;
    Stream* s = stream_of(stream);
    if (s == nullptr) return kInvalidValue;
    for (const stub::Task& node : executable->nodes) s->add(node);
    return 0;
}
STUB int cuGraphDestroy(Graph* graph) {
    LOCKED;
    delete graph;
    return in_context("cuGraphDestroy");
}
STUB int cuGraphExecDestroy(Graph* executable) {
    LOCKED;
    delete executable;
    return in_context("cuGraphExecDestroy");
}

STUB int cuMemAlloc_v2(void** address, size_t bytes) {
    LOCKED;
    for (Stream* s : stub::streams())
        if (s->refuses()) return stub::kCaptureUnsupported;
    return allocate("cuMemAlloc", nullptr, address, bytes);
}
STUB int cuMemAllocAsync(void** address, size_t bytes, void* stream) {
    LOCKED;
    return allocate("cuMemAllocAsync", stream, address, bytes);
}
STUB int cuMemFree_v2(void* address) {
    LOCKED;
    if (const int status = in_context("cuMemFree")) return status;
    after(stub::run_all());
    used -= malloc_usable_size(address);
    std::free(address);
    return 0;
}
STUB int cuMemFreeAsync(void* address, void* stream) {
    LOCKED;
    if (const int status = outside_capture(stream, "cuMemFreeAsync")) return status;
    used -= malloc_usable_size(address);
    return queue(stream, [address] {
        std::free(address);
        return 0;
    });
}
STUB int cuMemGetInfo_v2(size_t* free, size_t* total) {
    LOCKED;
    *free = kTotal - used;
    *total = kTotal;
    return in_context("cuMemGetInfo");
}
STUB int cuMemHostAlloc(void** address, size_t bytes, unsigned flags) {
    LOCKED;
    for (Stream* s : stub::streams())
        if (s->refuses()) return stub::kCaptureUnsupported;
    if (const int status = in_context("cuMemHostAlloc", std::to_string(flags))) return status;
    *address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    host[static_cast<const char*>(*address)] = bytes;
    return 0;
}
STUB int cuMemFreeHost(void* address) {
    LOCKED;
    after(stub::run_all());
    host.erase(static_cast<const char*>(address));
    std::free(address);
    return in_context("cuMemFreeHost");
}
// Pageable memory has been read, or written, by the time these return; page-locked memory not until the stream is there.
STUB int cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void* stream) {
    LOCKED;
    if (const int status = in_context("cuMemcpyHtoDAsync", std::to_string(bytes))) return status;
    if (is_page_locked(from))
        return queue(stream, [=] {
            std::memcpy(to, from, bytes);
            return 0;
        });
    Stream* s = stream_of(stream);
    if (s != nullptr && s->refuses()) return stub::kCaptureUnsupported;
    const std::string staged(static_cast<const char*>(from), bytes);
    return queue(stream, [to, staged] {
        std::memcpy(to, staged.data(), staged.size());
        return 0;
    });
}
STUB int cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void* stream) {
    LOCKED;
    if (const int status = in_context("cuMemcpyDtoHAsync", std::to_string(bytes))) return status;
    if (!is_page_locked(to)) {
        Stream* s = stream_of(stream);
        if (s != nullptr && s->refuses()) return stub::kCaptureUnsupported;
        after(s == nullptr ? stub::run_all() : s->run());
        std::memcpy(to, from, bytes);
        return fault_of_work;
    }
    return queue(stream, [=] {
        std::memcpy(to, from, bytes);
        return 0;
    });
}
STUB int cuMemsetD8Async(void* address, unsigned char value, size_t bytes, void* stream) {
    LOCKED;
    if (const int status = in_context("cuMemsetD8Async", std::to_string(bytes))) return status;
    return queue(stream, [=] {
        std::memset(address, value, bytes);
        return 0;
    });
}
STUB int cuGetErrorName(int error, const char** text) {
    *text = error == kOutOfMemory      ? "CUDA_ERROR_OUT_OF_MEMORY"
            : error == kIllegalAddress ? "CUDA_ERROR_ILLEGAL_ADDRESS"
                                       : "CUDA_ERROR_OF_THE_STUB";
    return 0;
}
STUB int cuGetErrorString(int error, const char** text) {
    *text = error == kOutOfMemory      ? "out of memory"
            : error == kIllegalAddress ? "an illegal memory access was encountered"
                                       : "the stub was told to fail";
    return 0;
}

// libcuda.so.1 for tests: the driver calls that java/cuda makes. See stub.h.
#include <malloc.h>

#include "stub.h"

namespace {

constexpr int kInvalidValue = 1, kOutOfMemory = 2, kInvalidContext = 201, kIllegalAddress = 700;
constexpr size_t kTotal = size_t{1} << 30;

size_t used = 0;
int contexts = 0;  // retained
thread_local void* current = nullptr;
char primary, stream_of_ours;

// Calls that need a context, as all but a few do. The answer "fault" is what a kernel left: it stands for all of them.
int in_context(const char* name, const std::string& arguments = "") {
    int fault = 0;
    if (stub::answer("fault", &fault)) {
        stub::called(name, arguments);
        return fault;
    }
    if (const int status = stub::called(name, arguments)) return status;
    return current == nullptr ? kInvalidContext : 0;
}

int allocate(const char* name, void** address, size_t bytes) {
    if (const int status = in_context(name, std::to_string(bytes))) return status;
    if (bytes == 0) return kInvalidValue;
    if (bytes > kTotal - used) return kOutOfMemory;
    *address = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    used += malloc_usable_size(*address);
    std::memset(*address, 0xFF, bytes);  // NaN: what reads memory that nobody has written shows
    return 0;
}

int release(const char* name, void* address) {
    if (const int status = in_context(name)) return status;
    used -= malloc_usable_size(address);
    std::free(address);
    return 0;
}

int copy(const char* name, void* to, const void* from, size_t bytes) {
    if (const int status = in_context(name, std::to_string(bytes))) return status;
    std::memcpy(to, from, bytes);
    return 0;
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
    if (const int status = stub::called("cuDevicePrimaryCtxRetain")) return status;
    ++contexts;
    *context = &primary;
    return 0;
}
STUB int cuDevicePrimaryCtxRelease_v2(int) {
    if (const int status = stub::called("cuDevicePrimaryCtxRelease")) return status;
    --contexts;
    return contexts < 0 ? kInvalidContext : 0;
}
STUB int cuCtxSetCurrent(void* context) {
    current = context;
    return 0;  // not noted: it comes before everything
}
STUB int cuCtxGetCurrent(void** context) {
    *context = current;
    return 0;
}
STUB int cuStreamCreate(void** stream, unsigned flags) {
    if (const int status = in_context("cuStreamCreate", std::to_string(flags))) return status;
    *stream = &stream_of_ours;
    return 0;
}
STUB int cuStreamDestroy_v2(void*) { return in_context("cuStreamDestroy"); }
STUB int cuStreamSynchronize(void*) { return in_context("cuStreamSynchronize"); }

STUB int cuMemAlloc_v2(void** address, size_t bytes) { return allocate("cuMemAlloc", address, bytes); }
STUB int cuMemAllocAsync(void** address, size_t bytes, void*) {
    return allocate("cuMemAllocAsync", address, bytes);
}
STUB int cuMemFree_v2(void* address) { return release("cuMemFree", address); }
STUB int cuMemFreeAsync(void* address, void*) { return release("cuMemFreeAsync", address); }
STUB int cuMemGetInfo_v2(size_t* free, size_t* total) {
    *free = kTotal - used;
    *total = kTotal;
    return in_context("cuMemGetInfo");
}
STUB int cuMemcpyHtoDAsync_v2(void* to, const void* from, size_t bytes, void*) {
    return copy("cuMemcpyHtoDAsync", to, from, bytes);
}
STUB int cuMemcpyDtoHAsync_v2(void* to, const void* from, size_t bytes, void*) {
    return copy("cuMemcpyDtoHAsync", to, from, bytes);
}
STUB int cuMemsetD8Async(void* address, unsigned char value, size_t bytes, void*) {
    if (const int status = in_context("cuMemsetD8Async", std::to_string(bytes))) return status;
    std::memset(address, value, bytes);
    return 0;
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

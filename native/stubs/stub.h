// What the stub libraries share. They stand in for NVIDIA's in tests on machines without a GPU: "device" memory is the
// host's, work is done late (streams.h) and naively, and everything the Java side passes can be looked at.
//
// JLATENT_STUBS names a folder with two files, each of which may be missing:
//   calls      gets a line for every call: the function and its arguments
//   answers    lines "function number": what it returns instead of doing its work
#pragma once
#include <dlfcn.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

#define STUB extern "C" __attribute__((visibility("default")))

namespace stub {

inline std::string file(const char* name) {
    const char* folder = std::getenv("JLATENT_STUBS");
    return folder == nullptr ? "" : std::string(folder) + "/" + name;
}

// The answer that the test has put down for `name`.
inline bool answer(const char* name, int* number) {
    FILE* answers = std::fopen(file("answers").c_str(), "r");
    if (answers == nullptr) return false;
    char line[128];
    bool found = false;
    while (!found && std::fscanf(answers, "%127s %d", line, number) == 2)
        found = std::strcmp(line, name) == 0;
    std::fclose(answers);
    return found;
}

// Every function begins with one of the two: notes the call, and says what to return at once, 0 for nothing.
inline int called(const char* name, const std::string& arguments) {
    FILE* calls = std::fopen(file("calls").c_str(), "r+");
    if (calls != nullptr) {
        std::fseek(calls, 0, SEEK_END);
        std::fprintf(calls, "%s %s\n", name, arguments.c_str());
        std::fclose(calls);
    }
    int number = 0;
    return answer(name, &number) ? number : 0;
}
inline int called(const char* name) { return called(name, std::string()); }

inline int called(const char* name, const char* format, ...) __attribute__((format(printf, 2, 3)));
inline int called(const char* name, const char* format, ...) {
    char arguments[512];
    va_list args;
    va_start(args, format);
    std::vsnprintf(arguments, sizeof arguments, format, args);
    va_end(args);
    return called(name, std::string(arguments));
}

inline float of_bf16(uint16_t half) {
    const uint32_t bits = static_cast<uint32_t>(half) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline uint16_t to_bf16(float value) {  // to nearest, ties to even
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

inline double load(const void* p, int64_t i, bool bf16) {
    return bf16 ? of_bf16(static_cast<const uint16_t*>(p)[i]) : static_cast<const float*>(p)[i];
}
inline void store(void* p, int64_t i, bool bf16, double value) {
    if (bf16)
        static_cast<uint16_t*>(p)[i] = to_bf16(static_cast<float>(value));
    else
        static_cast<float*>(p)[i] = static_cast<float>(value);
}

// Queues work on a stream of the stub of libcuda; on any other it is done at once.
inline void queue(void* stream, std::function<void()> work) {
    using Queue = int (*)(void*, int (*)(void*), void (*)(void*), void*);
    static const Queue on_stub = []() -> Queue {
        void* driver = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_LAZY);
        return driver == nullptr ? nullptr : reinterpret_cast<Queue>(dlsym(driver, "cuStubQueue"));
    }();
    auto* kept = new std::function<void()>(std::move(work));
    const auto run = [](void* self) -> int {
        (*static_cast<std::function<void()>*>(self))();
        return 0;
    };
    const auto forget = [](void* self) { delete static_cast<std::function<void()>*>(self); };
    if (on_stub != nullptr && on_stub(stream, run, forget, kept) != 0) return;
    run(kept);
    forget(kept);
}

// What a library does to its workspace: whoever else keeps something there finds out.
inline void scribble(void* workspace, size_t bytes) { std::memset(workspace, 0xA5, bytes); }

}  // namespace stub

// libcublas.so.12 for machines that have cuBLAS 13 only. JCublas' native library is linked against cuBLAS 12; what
// it calls is unchanged in 13 but for the name of the library. So each of its functions is here a jump to the
// function of that name in libcublas.so.13.
//
// names.inc is written by the build from what JCublas' library asks for: FORWARD(cublasCreate_v2) ...
#include <dlfcn.h>

#include <cstring>

namespace {

constexpr int kNotSupported = 15;  // CUBLAS_STATUS_NOT_SUPPORTED

int missing() { return kNotSupported; }
const char* missing_text() { return "cuBLAS 13 has no such function"; }

}  // namespace

#define FORWARD(name)                                                     \
    extern "C" {                                                          \
    __attribute__((visibility("hidden"))) void* jl_slot_##name = nullptr; \
    }                                                                     \
    asm(".text\n.globl " #name "\n.type " #name ",@function\n" #name      \
        ":\n\tendbr64\n"                                                  \
        "\tjmp *jl_slot_" #name "(%rip)\n.size " #name ", .-" #name "\n");
#include "names.inc"
#undef FORWARD

namespace {

struct Function {
    const char* name;
    void** slot;
};

const Function kFunctions[] = {
#define FORWARD(name) {#name, &jl_slot_##name},
#include "names.inc"
#undef FORWARD
};

bool ends_with(const char* text, const char* end) {
    const size_t length = std::strlen(text), tail = std::strlen(end);
    return length >= tail && std::strcmp(text + length - tail, end) == 0;
}

// While the library is loaded. Without cuBLAS 13, and where it lacks a function, calls answer with an error.
__attribute__((constructor)) void connect() {
    void* library = dlopen("libcublas.so.13", RTLD_LAZY | RTLD_LOCAL);
    for (const Function& f : kFunctions) {
        *f.slot = library != nullptr ? dlsym(library, f.name) : nullptr;
        const bool text = ends_with(f.name, "String") || ends_with(f.name, "StatusName");
        if (*f.slot == nullptr)
            *f.slot = text ? reinterpret_cast<void*>(&missing_text) : reinterpret_cast<void*>(&missing);
    }
}

}  // namespace

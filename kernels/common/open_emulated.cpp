// libjlatent_emulated: the CUDA sources on the CPU, for tests.
#include "table.h"

extern "C" {
__attribute__((visibility("default"))) const jl_kernels* jl_open_kernels(void) {
    return jlatent::emulated::table();
}
__attribute__((visibility("default"))) const char* jl_open_error(void) { return ""; }
}

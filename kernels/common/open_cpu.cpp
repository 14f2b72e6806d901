// libjlatent_cpu: picks the widest instruction set this machine has. JLATENT_ISA=avx512|avx2|baseline forces
// one.
#include <cstdlib>
#include <cstring>

#include "table.h"

namespace {

struct Level {
    const char* name;
    bool supported;
    const jl_kernels* (*table)();
};

struct Choice {
    const jl_kernels* table = nullptr;
    const char* error = "";
};

Choice choose() {
    __builtin_cpu_init();
    const Level levels[] = {
        {"avx512",
         __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("fma"),
         jlatent::avx512::table},
        {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), jlatent::avx2::table},
        {"baseline", true, jlatent::baseline::table},
    };
    const char* forced = std::getenv("JLATENT_ISA");
    for (const Level& level : levels) {
        if (forced == nullptr || *forced == '\0') {
            if (level.supported) return {level.table(), ""};
        } else if (std::strcmp(forced, level.name) == 0) {
            if (level.supported) return {level.table(), ""};
            return {nullptr, "JLATENT_ISA names an instruction set that this processor does not have"};
        }
    }
    return {nullptr, "JLATENT_ISA must be avx512, avx2 or baseline"};
}

const Choice& choice() {
    static const Choice chosen = choose();
    return chosen;
}

}  // namespace

extern "C" {
__attribute__((visibility("default"))) const jl_kernels* jl_open_kernels(void) { return choice().table; }
__attribute__((visibility("default"))) const char* jl_open_error(void) { return choice().error; }
}

// libjlatent_cpu: picks the widest instruction set this machine has. JLATENT_ISA=amx|avx512|avx2|baseline
// forces one.
#include <sys/syscall.h>
#include <unistd.h>

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

// A process must ask Linux for the registers of AMX, which are 8 KiB a thread.
bool may_use_tiles() {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILE_DATA
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Choice choose() {
    __builtin_cpu_init();
    const char* forced = std::getenv("JLATENT_ISA");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                        __builtin_cpu_supports("fma");
    const bool amx = avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("amx-tile") &&
                     __builtin_cpu_supports("amx-bf16");
    const bool asked = forced == nullptr || *forced == '\0' || std::strcmp(forced, "amx") == 0;
    const Level levels[] = {
        {"amx", amx && asked && may_use_tiles(), jlatent::amx::table},
        {"avx512", avx512, jlatent::avx512::table},
        {"avx2", __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), jlatent::avx2::table},
        {"baseline", true, jlatent::baseline::table},
    };
    for (const Level& level : levels) {
        if (forced == nullptr || *forced == '\0') {
            if (level.supported) return {level.table(), ""};
        } else if (std::strcmp(forced, level.name) == 0) {
            if (level.supported) return {level.table(), ""};
            return {nullptr, "JLATENT_ISA names an instruction set that this processor does not have"};
        }
    }
    return {nullptr, "JLATENT_ISA must be amx, avx512, avx2 or baseline"};
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

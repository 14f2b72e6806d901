// The table of one implementation: every operation's launchers, as defined in namespace jlatent::JL_TABLE.
#pragma once
#include "jlatent.h"

namespace jlatent {
namespace amx {
const jl_kernels* table();
}
namespace avx512 {
const jl_kernels* table();
}
namespace avx2 {
const jl_kernels* table();
}
namespace baseline {
const jl_kernels* table();
}
namespace emulated {
const jl_kernels* table();
}
namespace cuda {
const jl_kernels* table();
}
}  // namespace jlatent

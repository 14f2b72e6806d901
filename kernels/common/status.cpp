#include "status.h"

namespace jlatent {
namespace {
thread_local char text[512] = "no error";
}

const char* last_error() { return text; }

bool fits(std::initializer_list<int64_t> extents) {
    int64_t product = 1;
    for (const int64_t extent : extents) {
        if (extent == 0) continue;
        if (extent > kMostElements / product) return false;
        product *= extent;
    }
    return true;
}

jl_status fail(jl_status status, const char* format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return status;
}

}  // namespace jlatent

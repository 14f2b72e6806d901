#include "status.h"

namespace jlatent {
namespace {
thread_local char text[512] = "no error";
}

const char* last_error() { return text; }

jl_status fail(jl_status status, const char* format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return status;
}

}  // namespace jlatent

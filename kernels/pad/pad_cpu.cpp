#include "pad.h"

#include <algorithm>

#include "parallel.h"

namespace jlatent::JL_TABLE {

jl_status pad(const jl_pad* shape, const void* x, void* y, jl_stream) {
    if (const jl_status status = check_pad(shape, x, y)) return status;
    if (padded_elements(*shape) == 0) return JL_OK;
    const jl_pad s = *shape;
    const int64_t height = padded_height(s), width = padded_width(s);
    const int64_t bytes = s.channels * (s.dtype == JL_F32 ? 4 : 2);  // of a pixel
    const int64_t first = std::clamp<int64_t>(s.left, 0, width);     // columns of y that come from x
    const int64_t end = std::clamp<int64_t>(s.left + s.width, first, width);
    const char* from = static_cast<const char*>(x);
    char* to = static_cast<char*>(y);
    parallel_for(s.images * height, padded_elements(s), [=](int64_t task) {
        const int64_t n = task / height, h = task % height - s.top;
        char* row = to + task * width * bytes;
        memset(row, 0, static_cast<size_t>(width * bytes));
        if (h >= 0 && h < s.height && first < end)
            memcpy(row + first * bytes, from + ((n * s.height + h) * s.width + first - s.left) * bytes,
                   static_cast<size_t>((end - first) * bytes));
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

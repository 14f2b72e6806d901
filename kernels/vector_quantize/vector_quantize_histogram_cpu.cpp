#include "parallel.h"
#include "vector_quantize.h"

namespace jlatent::JL_TABLE {

jl_status vector_quantize_histogram(int64_t rows, int64_t books, int64_t codes, const int32_t* given,
                                    int32_t* histogram, jl_stream) {
    if (const jl_status status = check_vector_quantize_histogram(rows, books, codes, given, histogram))
        return status;
    for (int64_t i = 0; i < rows * books; ++i)
        JL_REQUIRE(given[i] >= -1 && given[i] < codes,
                   "vector_quantize_histogram: codes[%lld] is %d, but there are %lld codes",
                   static_cast<long long>(i), given[i], static_cast<long long>(codes));
    parallel_for(books, rows * books, [=](int64_t b) {
        int32_t* counts = histogram + b * codes;
        memset(counts, 0, static_cast<size_t>(codes) * sizeof(int32_t));
        for (int64_t n = 0; n < rows; ++n)
            if (given[n * books + b] >= 0) ++counts[given[n * books + b]];
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

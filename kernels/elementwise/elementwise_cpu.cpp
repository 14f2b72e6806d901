#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "elementwise.h"
#include "parallel.h"
namespace jlatent::JL_TABLE {
jl_status activation_forward(int32_t activation, const float* x, float* y, int64_t count, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
jl_status activation_backward(int32_t activation, const float* saved, const float* dy, float* dx,
                              int64_t count, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
jl_status add(const float* a, const float* b, float* out, int64_t count, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
jl_status scale(const float* x, const float* factor, float* out, int64_t count, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
jl_status fill(float* out, float value, int64_t count, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
size_t sum_rows_workspace(int64_t rows, int64_t columns) { return 0; }
jl_status sum_rows(const float* x, float* out, int64_t rows, int64_t columns, jl_workspace workspace,
                   jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
}  // namespace jlatent::JL_TABLE

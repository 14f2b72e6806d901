#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "likelihood.h"
#include "parallel.h"
namespace jlatent::JL_TABLE {
size_t likelihood_workspace(const jl_likelihood* shape) { return 0; }
jl_status likelihood(const jl_likelihood* shape, const float* parameters, const float* x,
                     const float* row_weight, const float* weight, float* nll_rows, float* nll_total,
                     float* d_parameters, jl_workspace workspace, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
}  // namespace jlatent::JL_TABLE

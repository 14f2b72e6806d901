#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "gaussian.h"
#include "launch.h"
namespace jlatent::JL_TABLE {
size_t gaussian_workspace(const jl_gaussian* shape) { return 0; }
jl_status gaussian_forward(const jl_gaussian* shape, const float* mu, const float* log_var,
                           const float* noise, const jl_random* random, const float* kl_weight, float* z,
                           float* kl_rows, float* kl_total, float* log_q, float* log_p, float* kl_live,
                           jl_workspace workspace, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
jl_status gaussian_backward(const jl_gaussian* shape, const float* mu, const float* log_var,
                            const float* noise, const jl_random* random, const float* kl_weight,
                            const float* kl_live, const float* d_z, const float* d_kl_rows,
                            const float* d_kl_total, const float* d_log_q, const float* d_log_p, float* d_mu,
                            float* d_log_var, jl_stream stream) {
    return fail(JL_INTERNAL_ERROR, "stub");
}
}  // namespace jlatent::JL_TABLE

#include "lookup_free_quantize.h"

#include "scalar_codes_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

// Sums of a column over a block's rows; `one` and `zero` are of p and 1 - p.
struct ColumnSums {
    double error, entropy, one, zero;
};

struct Totals {
    const float *beta, *gamma;
    float *commitment, *penalty, *entropies, *bit_log_odds;
};

// Over threads of a column; thread d < dims gets column d's.
__device__ inline ColumnSums fold(const ColumnSums& own, int dims) {
    return {column_sum(own.error, dims), column_sum(own.entropy, dims), column_sum(own.one, dims),
            column_sum(own.zero, dims)};
}

// The last block, whose threads d < dims have the sums of all rows, makes the totals.
__device__ inline void write_totals(const ColumnSums& sums, int64_t rows, int dims, const Totals& totals) {
    JL_SHARED(double, columns, [3 * kMostScalarDims]);
    const int d = static_cast<int>(threadIdx.x);
    if (d < dims) {
        const MeanBit bit = mean_bit(sums.one, sums.zero, rows);
        totals.bit_log_odds[d] = static_cast<float>(bit.log_odds);
        columns[d] = sums.error;
        columns[dims + d] = sums.entropy;
        columns[2 * dims + d] = bit.entropy;
    }
    __syncthreads();
    if (d != 0) return;
    double error = 0.0, of_rows = 0.0, of_mean = 0.0;
    for (int c = 0; c < dims; ++c) {
        error += columns[c];
        of_rows += columns[dims + c];
        of_mean += columns[2 * dims + c];
    }
    of_rows /= static_cast<double>(rows);
    totals.entropies[0] = static_cast<float>(of_rows);
    totals.entropies[1] = static_cast<float>(of_mean);
    *totals.penalty = static_cast<float>(of_rows - (totals.gamma == nullptr ? 1.0 : *totals.gamma) * of_mean);
    *totals.commitment = static_cast<float>((totals.beta == nullptr ? 1.0 : *totals.beta) * error /
                                            static_cast<double>(rows * dims));
}

__global__ void forward_kernel(int64_t rows, int dims, float slope, const float* __restrict__ x,
                               int32_t* __restrict__ codes, float* __restrict__ q, ColumnSums* partial,
                               unsigned* counter, Totals totals) {
    const int column = own_column(dims);
    ColumnSums own = {0.0, 0.0, 0.0, 0.0};
    each_value(rows, dims, [&](int64_t n, int64_t i, bool live) {
        const float value = live ? x[i] : 0.0f;
        const int32_t part = value > 0.0f ? int32_t{1} << column : 0;
        const int32_t code = row_code(is_finite(value) ? part : -1, dims);
        if (!live) return;
        const float sign = code < 0 ? float_of_bits(0x7fc00000u) : value > 0.0f ? 1.0f : -1.0f;
        const float difference = value - sign;
        const SoftBit bit = soft_bit(slope * value);
        q[i] = sign;
        if (column == 0) codes[n] = code;
        own.error += difference * difference;
        own.entropy += bit.entropy;
        own.one += bit.one;
        own.zero += bit.zero;
    });
    const ColumnSums block = fold(own, dims);
    if (static_cast<int>(threadIdx.x) < dims)
        partial[blockIdx.x * static_cast<unsigned>(dims) + threadIdx.x] = block;
    if (!last_block(counter)) return;
    const int groups = kBlock / dims, group = static_cast<int>(threadIdx.x) / dims;
    ColumnSums sums = {0.0, 0.0, 0.0, 0.0};
    for (unsigned b = static_cast<unsigned>(group); group < groups && b < gridDim.x;
         b += static_cast<unsigned>(groups)) {
        const ColumnSums* from = partial + b * static_cast<unsigned>(dims) + column;
        sums.error += __ldcg(&from->error);
        sums.entropy += __ldcg(&from->entropy);
        sums.one += __ldcg(&from->one);
        sums.zero += __ldcg(&from->zero);
    }
    write_totals(fold(sums, dims), rows, dims, totals);
}

// No rows: all losses are 0.
__global__ void no_rows_kernel(int dims, Totals totals) {
    const int d = static_cast<int>(threadIdx.x);
    if (d < dims) totals.bit_log_odds[d] = 0.0f;
    if (d == 0) *totals.commitment = *totals.penalty = totals.entropies[0] = totals.entropies[1] = 0.0f;
}

// d_x may be d_q, which may be null.
__global__ void backward_kernel(jl_lookup_free_quantize s, const float* __restrict__ x,
                                const float* bit_log_odds, const float* beta, const float* gamma,
                                const float* d_q, const float* d_commitment, const float* d_penalty,
                                float* d_x) {
    const int dims = static_cast<int>(s.dims);
    const LookupFreeScales scales = lookup_free_scales(s, beta, d_commitment, d_penalty);
    const float log_odds = (gamma == nullptr ? 1.0f : *gamma) * bit_log_odds[own_column(dims)];
    each_value(s.rows, dims, [&](int64_t, int64_t i, bool live) {
        if (!live) return;
        const float value = x[i], sign = value > 0.0f ? 1.0f : -1.0f,
                    straight = d_q == nullptr ? 0.0f : d_q[i];
        d_x[i] = straight + scales.error * (value - sign) +
                 scales.penalty * penalty_slope(scales.logit * value, log_odds);
    });
}

__global__ void decode_kernel(int64_t rows, int dims, const int32_t* __restrict__ codes,
                              float* __restrict__ q) {
    const int column = own_column(dims);
    each_value(rows, dims, [&](int64_t n, int64_t i, bool live) {
        if (!live) return;
        const int32_t code = codes[n];
        const float sign = (code >> column & 1) != 0 ? 1.0f : -1.0f;
        q[i] = code < 0 || code >= int32_t{1} << dims ? float_of_bits(0x7fc00000u) : sign;
    });
}

}  // namespace

size_t lookup_free_quantize_workspace(const jl_lookup_free_quantize* s) {
    return kWorkspaceHeader + row_grid(s->rows, s->dims) * static_cast<size_t>(s->dims) * sizeof(ColumnSums);
}

jl_status lookup_free_quantize_forward(const jl_lookup_free_quantize* shape, const float* x,
                                       const float* beta, const float* gamma, int32_t* codes, float* q,
                                       float* commitment, float* penalty, float* entropies,
                                       float* bit_log_odds, jl_workspace workspace, jl_stream stream) {
    constexpr const char* kName = "lookup_free_quantize_forward";
    if (const jl_status status = check_lookup_free_quantize_forward(
            kName, shape, x, codes, q, commitment, penalty, entropies, bit_log_odds, workspace))
        return status;
    const int dims = static_cast<int>(shape->dims);
    const Totals totals = {beta, gamma, commitment, penalty, entropies, bit_log_odds};
    if (shape->rows == 0) return launch(kName, 1, kWarp, 0, stream, no_rows_kernel, dims, totals);
    return launch(kName, row_grid(shape->rows, dims), kBlock, 0, stream, forward_kernel, shape->rows, dims,
                  4.0f / shape->temperature, x, codes, q,
                  reinterpret_cast<ColumnSums*>(workspace_floats(workspace)), workspace_counter(workspace),
                  totals);
}

jl_status lookup_free_quantize_backward(const jl_lookup_free_quantize* shape, const float* x,
                                        const float* bit_log_odds, const float* beta, const float* gamma,
                                        const float* d_q, const float* d_commitment, const float* d_penalty,
                                        float* d_x, jl_stream stream) {
    if (const jl_status status = check_lookup_free_quantize_backward(shape, x, bit_log_odds, d_x))
        return status;
    if (shape->rows == 0) return JL_OK;
    return launch("lookup_free_quantize_backward", row_grid(shape->rows, shape->dims), kBlock, 0, stream,
                  backward_kernel, *shape, x, bit_log_odds, beta, gamma, d_q, d_commitment, d_penalty, d_x);
}

jl_status lookup_free_quantize_decode(const jl_lookup_free_quantize* shape, const int32_t* codes, float* q,
                                      jl_stream stream) {
    if (const jl_status status = check_lookup_free_quantize_decode(shape, codes, q)) return status;
    if (shape->rows == 0) return JL_OK;
    return launch("lookup_free_quantize_decode", row_grid(shape->rows, shape->dims), kBlock, 0, stream,
                  decode_kernel, shape->rows, static_cast<int>(shape->dims), codes, q);
}

}  // namespace jlatent::JL_TABLE

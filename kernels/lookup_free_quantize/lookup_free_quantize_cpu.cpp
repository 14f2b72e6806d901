#include "lookup_free_quantize.h"

#include <atomic>

#include "scalar_codes_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

// What a task adds up; `one` and `zero` are a column's sums of p and 1 - p.
struct Sums {
    double error, entropy, one[kMostScalarDims], zero[kMostScalarDims];
};

// Sums of a task's rows, one for each place in a strip.
struct StripSums {
    alignas(64) float error[kMostStrip] = {}, entropy[kMostStrip] = {}, one[kMostStrip] = {},
                      zero[kMostStrip] = {};

    // q, what each value adds to its row's code, and the sums; false where a value is not finite.
    bool add(const float* x, const int32_t* bits, int64_t count, float slope, float* q, int32_t* parts) {
        int32_t wrong = 0;
#pragma omp simd reduction(| : wrong)
        for (int64_t i = 0; i < count; ++i) {
            const float sign = x[i] > 0.0f ? 1.0f : -1.0f, difference = x[i] - sign;
            const SoftBit b = soft_bit(slope * x[i]);
            q[i] = sign;
            parts[i] = x[i] > 0.0f ? bits[i] : 0;
            error[i] += difference * difference;
            entropy[i] += b.entropy;
            one[i] += b.one;
            zero[i] += b.zero;
            wrong |= is_finite(x[i]) ? 0 : 1;
        }
        return wrong == 0;
    }

    Sums total(int64_t dims) const {
        Sums sums = {};
        for (int64_t i = 0; i < kStripRows * dims; ++i) {
            sums.error += error[i];
            sums.entropy += entropy[i];
            sums.one[i % dims] += one[i];
            sums.zero[i % dims] += zero[i];
        }
        return sums;
    }
};

// d_x may be d_q, which may be null.
void backward_strip(const float* x, const float* d_q, const float* log_odds, int64_t count, float slope,
                    float of_error, float of_penalty, float* d_x) {
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
        const float sign = x[i] > 0.0f ? 1.0f : -1.0f, straight = d_q == nullptr ? 0.0f : d_q[i];
        d_x[i] = straight + of_error * (x[i] - sign) + of_penalty * penalty_slope(slope * x[i], log_odds[i]);
    }
}

}  // namespace

size_t lookup_free_quantize_workspace(const jl_lookup_free_quantize* shape) {
    return kWorkspaceHeader + static_cast<size_t>(row_tasks(shape->rows)) * sizeof(Sums);
}

jl_status lookup_free_quantize_forward(const jl_lookup_free_quantize* shape, const float* x,
                                       const float* beta, const float* gamma, int32_t* codes, float* q,
                                       float* commitment, float* penalty, float* entropies,
                                       float* bit_log_odds, jl_workspace workspace, jl_stream) {
    constexpr const char* kName = "lookup_free_quantize_forward";
    if (const jl_status status = check_lookup_free_quantize_forward(
            kName, shape, x, codes, q, commitment, penalty, entropies, bit_log_odds, workspace))
        return status;
    const int64_t rows = shape->rows, dims = shape->dims;
    const float slope = 4.0f / shape->temperature;
    int32_t bits[kMostStrip];
    for (int64_t i = 0; i < kStripRows * dims; ++i) bits[i] = int32_t{1} << (i % dims);
    Sums* partial = reinterpret_cast<Sums*>(workspace_floats(workspace));
    std::atomic<bool> finite{true};
    for_row_tasks(rows, dims, [&](int64_t task, int64_t first, int64_t end) {
        StripSums sums;
        for_strips(first, end, [&](int64_t n, int64_t count) {
            int32_t parts[kMostStrip];
            if (!sums.add(x + n * dims, bits, count * dims, slope, q + n * dims, parts)) finite = false;
            sum_parts(parts, count, dims, codes + n);
        });
        partial[task] = sums.total(dims);
    });
    if (!finite) return refuse_not_finite(kName, x, rows, dims);

    Sums all = {};
    for (int64_t task = 0; task < row_tasks(rows); ++task) {
        all.error += partial[task].error;
        all.entropy += partial[task].entropy;
        for (int64_t d = 0; d < dims; ++d) {
            all.one[d] += partial[task].one[d];
            all.zero[d] += partial[task].zero[d];
        }
    }
    const int64_t n = rows == 0 ? 1 : rows;
    double of_mean = 0.0;
    for (int64_t d = 0; d < dims; ++d) {
        const MeanBit bit = mean_bit(all.one[d], all.zero[d], n);
        of_mean += bit.entropy;
        bit_log_odds[d] = static_cast<float>(bit.log_odds);
    }
    const double of_rows = all.entropy / static_cast<double>(n);
    entropies[0] = static_cast<float>(of_rows);
    entropies[1] = static_cast<float>(of_mean);
    *penalty = static_cast<float>(of_rows - (gamma == nullptr ? 1.0 : *gamma) * of_mean);
    *commitment =
        static_cast<float>((beta == nullptr ? 1.0 : *beta) * all.error / static_cast<double>(n * dims));
    return JL_OK;
}

jl_status lookup_free_quantize_backward(const jl_lookup_free_quantize* shape, const float* x,
                                        const float* bit_log_odds, const float* beta, const float* gamma,
                                        const float* d_q, const float* d_commitment, const float* d_penalty,
                                        float* d_x, jl_stream) {
    if (const jl_status status = check_lookup_free_quantize_backward(shape, x, bit_log_odds, d_x))
        return status;
    const int64_t rows = shape->rows, dims = shape->dims;
    const LookupFreeScales scales = lookup_free_scales(*shape, beta, d_commitment, d_penalty);
    float log_odds[kMostStrip];
    for (int64_t i = 0; i < kStripRows * dims; ++i)
        log_odds[i] = (gamma == nullptr ? 1.0f : *gamma) * bit_log_odds[i % dims];
    for_row_tasks(rows, dims, [&](int64_t, int64_t first, int64_t end) {
        for_strips(first, end, [&](int64_t n, int64_t count) {
            backward_strip(x + n * dims, d_q == nullptr ? nullptr : d_q + n * dims, log_odds, count * dims,
                           scales.logit, scales.error, scales.penalty, d_x + n * dims);
        });
    });
    return JL_OK;
}

jl_status lookup_free_quantize_decode(const jl_lookup_free_quantize* shape, const int32_t* codes, float* q,
                                      jl_stream) {
    constexpr const char* kName = "lookup_free_quantize_decode";
    if (const jl_status status = check_lookup_free_quantize_decode(shape, codes, q)) return status;
    const int64_t dims = shape->dims;
    if (const jl_status status = check_scalar_codes(kName, codes, shape->rows, int64_t{1} << dims))
        return status;
    for_row_tasks(shape->rows, dims, [&](int64_t, int64_t first, int64_t end) {
        for (int64_t n = first; n < end; ++n)
            for (int64_t d = 0; d < dims; ++d) q[n * dims + d] = (codes[n] >> d & 1) != 0 ? 1.0f : -1.0f;
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

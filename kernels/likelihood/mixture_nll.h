// A mixture's loss and gradient, for one pixel (a CUDA thread's) or for as many as a vector holds (the CPU's).
#pragma once
#include "mixture.h"

#ifdef _OPENMP
#define JL_SIMD _Pragma("omp simd")
#else
#define JL_SIMD
#endif

namespace jlatent::JL_TABLE {

// W pixels side by side, W neighbours in every array: p [floats(), W] holds their parameters and gets
// weight d nll / d parameter, if wanted; x [channels, W]; nll [W]. A level that is none makes all of its pixel NaN.
template <int W, bool kGradient>
JL_HOST_DEVICE void mixture_nll(MixtureLayout at, int levels, const int32_t* x, float weight, float* p,
                                float* nll) {
    const float half_bin = 1.0f / static_cast<float>(levels - 1);
    const auto value = [=](int c, int l) {
        const int level = x[c * W + l];
        return level >= 0 && level < levels ? level_value(level, levels) : NAN;
    };
    float largest[W], largest_joint[W], sum[W], sum_joint[W];
    for (int l = 0; l < W; ++l) largest[l] = largest_joint[l] = -INFINITY;
    for (int m = 0; m < at.components; ++m) {
        JL_SIMD
        for (int l = 0; l < W; ++l) {
            const float logit = p[m * W + l];
            largest[l] = logit > largest[l] ? logit : largest[l];
            p[at.joint(m) * W + l] = logit;
        }
    }
    for (int c = 0; c < at.channels; ++c)
        for (int m = 0; m < at.components; ++m) {
            for (int j = 0; j < c; ++j) {
                float* coupling = p + at.coupling(c, j, m) * W;
                JL_SIMD
                for (int l = 0; l < W; ++l) {
                    coupling[l] = fast_tanh(coupling[l]);
                    p[at.mean(c, m) * W + l] += coupling[l] * value(j, l);
                }
            }
            JL_SIMD
            for (int l = 0; l < W; ++l) {
                float* mean = p + at.mean(c, m) * W;
                float* log_scale = p + at.log_scale(c, m) * W;
                const int level = x[c * W + l];
                const Bin bin =
                    logistic_bin(mean[l], log_scale[l], value(c, l), level > 0, level < levels - 1, half_bin);
                p[at.joint(m) * W + l] += bin.log_p;
                mean[l] = bin.d_mean;
                log_scale[l] = bin.d_log_scale;
            }
        }
    for (int m = 0; m < at.components; ++m) {
        JL_SIMD
        for (int l = 0; l < W; ++l) {
            const float joint = p[at.joint(m) * W + l];
            largest_joint[l] = joint > largest_joint[l] ? joint : largest_joint[l];
        }
    }
    for (int l = 0; l < W; ++l) sum[l] = sum_joint[l] = 0.0f;
    for (int m = 0; m < at.components; ++m) {
        JL_SIMD
        for (int l = 0; l < W; ++l) {
            float* logit = p + m * W;
            float* joint = p + at.joint(m) * W;
            logit[l] = fast_exp(logit[l] - largest[l]);
            joint[l] = fast_exp(joint[l] - largest_joint[l]);
            sum[l] += logit[l];
            sum_joint[l] += joint[l];
        }
    }
    JL_SIMD
    for (int l = 0; l < W; ++l) {
        // Both sums are at least 1, or NaN, which fast_log does not know.
        const float ratio = sum[l] / sum_joint[l];
        nll[l] =
            ratio > 0.0f ? largest[l] - largest_joint[l] + fast_log(sum[l]) - fast_log(sum_joint[l]) : NAN;
        sum[l] = weight / sum[l];
        sum_joint[l] = weight / sum_joint[l];
    }
    if constexpr (kGradient) {
        // d nll / d logit = prior - posterior; all else has -posterior times what its component says.
        for (int m = 0; m < at.components; ++m) {
            JL_SIMD
            for (int l = 0; l < W; ++l) {
                float* joint = p + at.joint(m) * W;
                joint[l] *= sum_joint[l];
                p[m * W + l] = p[m * W + l] * sum[l] - joint[l];
            }
        }
        for (int c = 0; c < at.channels; ++c)
            for (int m = 0; m < at.components; ++m) {
                JL_SIMD
                for (int l = 0; l < W; ++l) {
                    p[at.mean(c, m) * W + l] *= -p[at.joint(m) * W + l];
                    p[at.log_scale(c, m) * W + l] *= -p[at.joint(m) * W + l];
                }
                for (int j = 0; j < c; ++j) {
                    float* coupling = p + at.coupling(c, j, m) * W;
                    JL_SIMD
                    for (int l = 0; l < W; ++l)
                        coupling[l] =
                            (1.0f - coupling[l] * coupling[l]) * value(j, l) * p[at.mean(c, m) * W + l];
                }
            }
    }
}

}  // namespace jlatent::JL_TABLE

// The codes that vector_quantize must find, from exact arithmetic, and the rows and codebooks they are asked of.
#pragma once
#include "case_table.h"

namespace jlatent::test {
namespace {

using Matrix = std::vector<float>;

// ---- the oracle: fp64 names candidates, expansions [Shewchuk 1997] compare them without any error ----

// A sum of doubles as numbers that do not overlap, the largest last.
class Expansion {
  public:
    void add(double value) {
        std::vector<double> next;
        for (const double part : parts_) {
            const double sum = value + part, other = sum - value;
            const double error = (value - (sum - other)) + (part - other);
            if (error != 0.0) next.push_back(error);
            value = sum;
        }
        if (value != 0.0) next.push_back(value);
        parts_ = next;
    }
    int sign() const { return parts_.empty() ? 0 : parts_.back() > 0.0 ? 1 : -1; }

  private:
    std::vector<double> parts_;
};

// The sign of |x - a|^2 - |x - b|^2; products of floats are exact in fp64.
inline int compare_distances(const float* x, const float* a, const float* b, size_t dims) {
    Expansion sum;
    for (size_t d = 0; d < dims; ++d) {
        const double xd = x[d], ad = a[d], bd = b[d];
        sum.add(ad * ad);
        sum.add(-2.0 * xd * ad);
        sum.add(-bd * bd);
        sum.add(2.0 * xd * bd);
    }
    return sum.sign();
}

inline int32_t nearest(const float* x, const Matrix& codebook, size_t codes, size_t dims) {
    std::vector<double> score(codes), slack(codes);
    double least = -std::numeric_limits<double>::infinity();
    for (size_t k = 0; k < codes; ++k) {
        double size = 0.0;
        for (size_t d = 0; d < dims; ++d) {
            const double e = codebook[k * dims + d], product = x[d] * e, square = 0.5 * e * e;
            score[k] += product - square;
            size += std::abs(product) + square;
        }
        slack[k] = 1e-12 * size;
        least = std::max(least, score[k] - slack[k]);
    }
    size_t best = codes;
    for (size_t k = 0; k < codes; ++k) {
        if (score[k] + slack[k] < least) continue;
        if (best == codes || compare_distances(x, &codebook[k * dims], &codebook[best * dims], dims) < 0)
            best = k;
    }
    return static_cast<int32_t>(best);
}

// ---- cases ----

// One head, one stage, f32, straight through.
inline jl_vector_quantize plain(int64_t rows, int64_t codes, int64_t dims) {
    return {rows, 1, 1, codes, dims, JL_F32, 0};
}

enum Kind {
    kRandom,
    kClustered,
    kNearTied,
    kPeriodic,
    kLattice,
    kDuplicated,
    kNormalised,
    kInitial,
    kZero,
    kOutlier,
    kHidden,
    kRotated,
    kPairs,
    kOffset
};

struct Case {
    const char* name;
    Kind kind;
    jl_vector_quantize s;
    float x_scale, e_scale;
    size_t shift;
};

inline void normalise(float* row, size_t dims) {
    double sum = 0.0;
    for (size_t d = 0; d < dims; ++d) sum += static_cast<double>(row[d]) * row[d];
    for (size_t d = 0; d < dims; ++d) row[d] = static_cast<float>(row[d] / std::sqrt(sum));
}

inline void make(const Case& c, Matrix* x, Matrix* e) {
    const size_t rows = static_cast<size_t>(c.s.rows), codes = static_cast<size_t>(c.s.codes),
                 dims = static_cast<size_t>(c.s.dims);
    std::mt19937 engine(7);
    std::normal_distribution<float> normal;
    const auto any = [&](size_t below) { return static_cast<size_t>(engine()) % below; };
    x->resize(rows * dims);
    e->resize(codes * dims);
    for (float& v : *e) v = normal(engine);
    for (float& v : *x) v = normal(engine);
    if (c.kind == kClustered)  // rows near codes, codes near each other
        for (size_t i = 0; i < x->size(); ++i) {
            const size_t k = i / dims * 7 % codes;
            (*e)[k * dims + i % dims] = 3.0f + 1e-3f * normal(engine);
            (*x)[i] = (*e)[k * dims + i % dims] + 1e-3f * normal(engine);
        }
    if (c.kind == kNearTied)  // codes an ulp here and there away from one another
        for (size_t i = dims; i < e->size(); ++i) {
            float v = (*e)[i % dims];
            if (any(3) == 0) v = std::nextafter(v, any(2) == 0 ? 10.0f : -10.0f);
            (*e)[i] = v;
        }
    if (c.kind == kPeriodic)  // each an ulp away from the one 64 before, which has the same place in its tile
        for (size_t i = 64 * dims; i < e->size(); ++i)
            (*e)[i] = std::nextafter((*e)[i - 64 * dims], any(2) == 0 ? 10.0f : -10.0f);
    if (c.kind == kLattice) {  // halves and integers: ties everywhere
        for (float& v : *e) v = static_cast<float>(static_cast<int>(any(5)) - 2);
        for (float& v : *x) v = 0.5f * static_cast<float>(static_cast<int>(any(9)) - 4);
    }
    if (c.kind == kDuplicated)
        for (size_t i = 0; i < e->size(); ++i) (*e)[i] = (*e)[(i / dims % 5) * dims + i % dims];
    if (c.kind == kNormalised) {
        for (size_t n = 0; n < rows; ++n) normalise(&(*x)[n * dims], dims);
        for (size_t k = 0; k < codes; ++k) normalise(&(*e)[k * dims], dims);
    }
    if (c.kind == kInitial)
        for (float& v : *e)
            v = (2.0f * static_cast<float>(engine()) / 4294967296.0f - 1.0f) / static_cast<float>(codes);
    if (c.kind == kZero)
        for (float& v : *e) v = 0.0f;
    if (c.kind == kOutlier)
        for (size_t d = 0; d < dims; ++d) (*e)[(codes / 2) * dims + d] *= 1e15f;
    if (c.kind == kHidden) {  // what decides lies below fp64's digits of the score
        for (size_t i = 0; i < e->size(); ++i)
            (*e)[i] = i % dims < 2 ? ((*e)[i] < 0.0f ? -1.0f : 1.0f) : 1e-20f * (*e)[i];
        for (size_t i = 0; i < x->size(); ++i) (*x)[i] *= i % dims < 2 ? 0.0f : 1e-20f;
    }
    if (c.kind ==
        kPairs)  // codes that bf16 hardly tells apart, but f32 does; far from each other in the codebook
        for (size_t i = codes / 2 * dims; i < e->size(); ++i)
            (*e)[i] = (*e)[i % (codes / 2 * dims)] * (1.0f + 0x1p-9f * normal(engine));
    if (c.kind == kOffset) {  // rows and codes near a point far from the origin
        for (size_t i = 0; i < e->size(); ++i)
            (*e)[i] = 0.3f * (*e)[i] + 7.0f * static_cast<float>(i % dims % 3);
        for (size_t i = 0; i < x->size(); ++i)
            (*x)[i] = 0.5f * (*x)[i] + 7.0f * static_cast<float>(i % dims % 3);
    }
    if (c.kind == kRotated) {  // every code ties, and sums in fp64 differ
        for (size_t i = dims; i < e->size(); ++i) (*e)[i] = (*e)[(i / dims + i) % dims];
        for (size_t i = 0; i < x->size(); ++i) (*x)[i] = (*x)[i / dims * dims];
    }
    for (float& v : *e) v *= c.e_scale;
    for (float& v : *x) v *= c.x_scale;
}

}  // namespace
}  // namespace jlatent::test

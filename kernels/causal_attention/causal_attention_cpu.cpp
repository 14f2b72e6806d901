// causal_attention on the CPU. A panel of kPanel neighbouring positions, queries or keys, lies in the lanes of two vectors,
// transposed: so maxima, exponentials and sums over the other positions, kBlockRows of which are read at a time, go lane by lane.
#include "causal_attention.h"

#include "math.h"
#include "parallel.h"
#include "product_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kBlockRows = 8 * kTileRows;  // their scores stay in the first-level cache
static_assert(kBlockRows >= kPanel, "a panel meets its own positions in one block");

constexpr int64_t kPanelFloats = kMostHeadDims * kPanel;

// to[d, lane] of `count` rows from x on; other lanes are 0.
void transpose(const float* x, int64_t stride, int64_t count, int64_t dims, float* to) {
    for (int64_t d = 0; d < dims; ++d)
        for (int64_t l = 0; l < kPanel; ++l) to[d * kPanel + l] = l < count ? x[l * stride + d] : 0.0f;
}
void transpose_back(const float* panel, int64_t count, int64_t dims, float* to, int64_t stride) {
    for (int64_t l = 0; l < count; ++l)
        for (int64_t d = 0; d < dims; ++d) to[l * stride + d] = panel[d * kPanel + l];
}

// out[i, lane] = sum over k < count of a[i row + k step] b[k, lane], added to out if kAdd, for i < rows.
template <bool kAdd, int64_t kRows = kTileRows>
void multiply_rows(const float* a, int64_t row, int64_t step, const float* b, int64_t count, int64_t rows,
                   float* out) {
    for (; rows >= kRows; rows -= kRows, a += kRows * row, out += kRows * kPanel) {
        Vector sum[kRows][2] = {};
        for (int64_t i = 0; kAdd && i < kRows; ++i)
            for (int64_t h = 0; h < 2; ++h) sum[i][h] = load(out + i * kPanel + h * kLanes);
        multiply<kRows>(a, row, step, b, count, sum);
        for (int64_t i = 0; i < kRows; ++i)
            for (int64_t h = 0; h < 2; ++h) store(out + i * kPanel + h * kLanes, sum[i][h]);
    }
    if constexpr (kRows > 1)
        if (rows > 0) multiply_rows<kAdd, kRows - 1>(a, row, step, b, count, rows, out);
}

// Where a block of rows is the panel's own positions: which lanes take part in a row's products. Queries in the lanes see keys in
// rows up to themselves; keys in the lanes are seen by queries in rows from themselves on.
enum Lanes { kQueries, kKeys };
template <Lanes kLanesAre>
bool sees(int64_t row, int64_t lane) {
    return kLanesAre == kQueries ? row <= lane : lane <= row;
}

// out[d, lane] += sum over r < rows of a[r, d] b[r, lane]. What must not be seen is not multiplied: it may be NaN.
template <Lanes kLanesAre>
void add_products(bool own, const float* a, int64_t stride, const float* b, int64_t rows, int64_t dims,
                  float* out) {
    if (!own) return multiply_rows<true>(a, 1, stride, b, rows, dims, out);
    for (int64_t d = 0; d < dims; ++d)
        for (int64_t r = 0; r < rows; ++r) {
            const float x = a[r * stride + d];
            const float* y = b + r * kPanel;
            float* to = out + d * kPanel;
#pragma omp simd
            for (int64_t l = 0; l < kPanel; ++l) to[l] += sees<kLanesAre>(r, l) ? x * y[l] : 0.0f;
        }
}

float product(const float* a, const float* b, int64_t count) {
    float sum = 0.0f;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < count; ++i) sum += a[i] * b[i];
    return sum;
}

struct Head {
    int64_t positions, dims, out_stride;
    float scale;
    HeadParts<const float> in;

    Head(const jl_causal_attention& s, const float* qkv, int64_t image, int64_t head)
        : positions(s.positions),
          dims(s.dims),
          out_stride(s.heads * s.dims),
          scale(attention_scale(s.dims)),
          in(s, qkv, image, head) {}
};

struct Panel {
    int64_t first, count;  // positions
};

// ---- forward ----

// Sums over the keys so far; o is [dims, lanes].
struct Running {
    alignas(64) float o[kPanelFloats], most[kPanel], sum[kPanel];
};

void attend(const Head& h, const float* q, int64_t key, int64_t keys, bool own, Running& r) {
    alignas(64) float p[kBlockRows * kPanel], most[kPanel], shift[kPanel], shrink[kPanel];
    const int64_t at = key * h.in.stride;
    multiply_rows<false>(h.in.k + at, h.in.stride, 1, q, h.dims, keys, p);
    memcpy(most, r.most, sizeof most);
    for (int64_t j = 0; j < keys; ++j) {
        float* row = p + j * kPanel;
#pragma omp simd
        for (int64_t l = 0; l < kPanel; ++l) {
            row[l] = own && !sees<kQueries>(j, l) ? -INFINITY : h.scale * row[l];
            most[l] = row[l] > most[l] ? row[l] : most[l];
        }
    }
#pragma omp simd
    for (int64_t l = 0; l < kPanel; ++l) {
        shift[l] = most[l] == -INFINITY ? 0.0f : most[l];  // nothing but -infinity so far is not yet NaN
        shrink[l] = fast_exp(r.most[l] - shift[l]);
        r.sum[l] *= shrink[l];
        r.most[l] = most[l];
    }
    for (int64_t j = 0; j < keys; ++j) {
        float* row = p + j * kPanel;
#pragma omp simd
        for (int64_t l = 0; l < kPanel; ++l) {
            row[l] = fast_exp(row[l] - shift[l]);
            r.sum[l] += row[l];
        }
    }
    for (int64_t d = 0; d < h.dims; ++d) {
#pragma omp simd
        for (int64_t l = 0; l < kPanel; ++l) r.o[d * kPanel + l] *= shrink[l];
    }
    add_products<kQueries>(own, h.in.v + at, h.in.stride, p, keys, h.dims, r.o);
}

void forward_panel(const Head& h, const Panel& panel, float* out, float* log_sums) {
    alignas(64) float q[kPanelFloats];
    Running r;
    transpose(h.in.q + panel.first * h.in.stride, h.in.stride, panel.count, h.dims, q);
    memset(r.o, 0, sizeof r.o);
    for (int64_t l = 0; l < kPanel; ++l) r.most[l] = -INFINITY, r.sum[l] = 0.0f;
    for (int64_t key = 0; key < panel.first; key += kBlockRows)
        attend(h, q, key, panel.first - key < kBlockRows ? panel.first - key : kBlockRows, false, r);
    attend(h, q, panel.first, panel.count, true, r);
    for (int64_t d = 0; d < h.dims; ++d)
        for (int64_t l = 0; l < kPanel; ++l) r.o[d * kPanel + l] /= r.sum[l];
    transpose_back(r.o, panel.count, h.dims, out + panel.first * h.out_stride, h.out_stride);
    for (int64_t l = 0; log_sums != nullptr && l < panel.count; ++l)
        log_sums[panel.first + l] = r.most[l] + std::log(r.sum[l]);
}

// ---- backward ----

struct HeadGradients {
    const float *out, *log_sums, *d_out;
    HeadParts<float> d;
};

// p and d_s / sqrt(d) [rows, lanes], from q k and d_out v; log_sum(row, lane) and deltas(row, lane) are the query's.
template <Lanes kLanesAre, class LogSum, class Delta>
void score_gradients(const Head& h, int64_t rows, bool own, LogSum log_sum, Delta delta, float* p,
                     float* d_s) {
    for (int64_t r = 0; r < rows; ++r) {
        float *p_row = p + r * kPanel, *d_row = d_s + r * kPanel;
#pragma omp simd
        for (int64_t l = 0; l < kPanel; ++l) {
            const bool seen = !own || sees<kLanesAre>(r, l);
            const float value = fast_exp(h.scale * p_row[l] - log_sum(r, l));
            const float d = value * (d_row[l] - delta(r, l)) * h.scale;
            p_row[l] = seen ? value : 0.0f;
            d_row[l] = seen ? d : 0.0f;
        }
    }
}

void backward_queries(const Head& h, const HeadGradients& g, const Panel& panel) {
    alignas(64) float q[kPanelFloats], d_out[kPanelFloats], d_q[kPanelFloats], log_sums[kPanel] = {},
                                                                               deltas[kPanel] = {};
    alignas(64) float p[kBlockRows * kPanel], d_s[kBlockRows * kPanel];
    const float *out = g.out + panel.first * h.out_stride, *gradient = g.d_out + panel.first * h.out_stride;
    transpose(h.in.q + panel.first * h.in.stride, h.in.stride, panel.count, h.dims, q);
    transpose(gradient, h.out_stride, panel.count, h.dims, d_out);
    memset(d_q, 0, sizeof d_q);
    for (int64_t l = 0; l < panel.count; ++l) {
        log_sums[l] = g.log_sums[panel.first + l];
        deltas[l] = product(out + l * h.out_stride, gradient + l * h.out_stride, h.dims);
    }
    const auto add = [&](int64_t key, int64_t keys, bool own) {
        const int64_t at = key * h.in.stride;
        multiply_rows<false>(h.in.k + at, h.in.stride, 1, q, h.dims, keys, p);
        multiply_rows<false>(h.in.v + at, h.in.stride, 1, d_out, h.dims, keys, d_s);
        score_gradients<kQueries>(
            h, keys, own, [&](int64_t, int64_t l) { return log_sums[l]; },
            [&](int64_t, int64_t l) { return deltas[l]; }, p, d_s);
        add_products<kQueries>(own, h.in.k + at, h.in.stride, d_s, keys, h.dims, d_q);
    };
    for (int64_t key = 0; key < panel.first; key += kBlockRows)
        add(key, panel.first - key < kBlockRows ? panel.first - key : kBlockRows, false);
    add(panel.first, panel.count, true);
    transpose_back(d_q, panel.count, h.dims, g.d.q + panel.first * g.d.stride, g.d.stride);
}

void backward_keys(const Head& h, const HeadGradients& g, const Panel& panel) {
    alignas(64) float k[kPanelFloats], v[kPanelFloats], d_k[kPanelFloats], d_v[kPanelFloats];
    alignas(64) float p[kBlockRows * kPanel], d_s[kBlockRows * kPanel], deltas[kBlockRows];
    transpose(h.in.k + panel.first * h.in.stride, h.in.stride, panel.count, h.dims, k);
    transpose(h.in.v + panel.first * h.in.stride, h.in.stride, panel.count, h.dims, v);
    memset(d_k, 0, sizeof d_k);
    memset(d_v, 0, sizeof d_v);
    const auto add = [&](int64_t query, int64_t queries, bool own) {
        const float *q = h.in.q + query * h.in.stride, *out = g.out + query * h.out_stride,
                    *d_out = g.d_out + query * h.out_stride, *log_sums = g.log_sums + query;
        multiply_rows<false>(q, h.in.stride, 1, k, h.dims, queries, p);
        multiply_rows<false>(d_out, h.out_stride, 1, v, h.dims, queries, d_s);
        for (int64_t i = 0; i < queries; ++i)
            deltas[i] = product(out + i * h.out_stride, d_out + i * h.out_stride, h.dims);
        score_gradients<kKeys>(
            h, queries, own, [&](int64_t i, int64_t) { return log_sums[i]; },
            [&](int64_t i, int64_t) { return deltas[i]; }, p, d_s);
        add_products<kKeys>(own, d_out, h.out_stride, p, queries, h.dims, d_v);
        add_products<kKeys>(own, q, h.in.stride, d_s, queries, h.dims, d_k);
    };
    const int64_t end = panel.first + panel.count;
    add(panel.first, panel.count, true);
    for (int64_t query = end; query < h.positions; query += kBlockRows)
        add(query, h.positions - query < kBlockRows ? h.positions - query : kBlockRows, false);
    transpose_back(d_k, panel.count, h.dims, g.d.k + panel.first * g.d.stride, g.d.stride);
    transpose_back(d_v, panel.count, h.dims, g.d.v + panel.first * g.d.stride, g.d.stride);
}

// body(image, head, panel) for all panels. A task has one from the front and one from the back: all have the same work.
template <class Body>
void for_panels(const jl_causal_attention& s, Body body) {
    const int64_t panels = (s.positions + kPanel - 1) / kPanel, pairs = (panels + 1) / 2;
    parallel_for(s.batch * s.heads * pairs, s.batch * s.heads * s.positions * s.positions * s.dims,
                 [=](int64_t task) {
                     const int64_t head = task / pairs, one = task % pairs, other = panels - 1 - one;
                     const auto run = [&](int64_t panel) {
                         const int64_t first = panel * kPanel, left = s.positions - first;
                         body(head / s.heads, head % s.heads, Panel{first, left < kPanel ? left : kPanel});
                     };
                     run(one);
                     if (other != one) run(other);
                 });
}

}  // namespace

jl_status causal_attention_forward(const jl_causal_attention* shape, const float* qkv, float* out,
                                   float* log_sums, jl_stream) {
    if (const jl_status status = check_causal_attention_forward(shape, qkv, out)) return status;
    const jl_causal_attention s = *shape;
    for_panels(s, [=](int64_t image, int64_t head, const Panel& panel) {
        forward_panel(Head(s, qkv, image, head), panel, head_outputs(s, out, image, head),
                      log_sums == nullptr ? nullptr : log_sums + (image * s.heads + head) * s.positions);
    });
    return JL_OK;
}

jl_status causal_attention_backward(const jl_causal_attention* shape, const float* qkv, const float* out,
                                    const float* log_sums, const float* d_out, float* d_qkv, jl_stream) {
    if (const jl_status status = check_causal_attention_backward(shape, qkv, out, log_sums, d_out, d_qkv))
        return status;
    const jl_causal_attention s = *shape;
    for_panels(s, [=](int64_t image, int64_t head, const Panel& panel) {
        const Head h(s, qkv, image, head);
        const HeadGradients g = {
            head_outputs(s, out, image, head), log_sums + (image * s.heads + head) * s.positions,
            head_outputs(s, d_out, image, head), HeadParts<float>(s, d_qkv, image, head)};
        backward_queries(h, g, panel);
        backward_keys(h, g, panel);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

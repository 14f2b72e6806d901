#include "lstm_cell.h"

#include "parallel.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int64_t kTile = 512;  // values of a row, a task
constexpr int64_t kWork = 16;   // what a value costs, in elements of other operations

const float kZeros[4 * kTile] = {};  // in place of what is not there: loops without conditions vectorize

// Where a task's values are: in an array of rows, in a map, and in the map a row above.
struct Tile {
    int64_t own, at, before, count;
};

template <class Body>
void for_tiles(const jl_lstm_cell& s, Body body) {
    const int64_t values = s.width * s.channels, tiles = (values + kTile - 1) / kTile;
    parallel_for(s.batch * tiles, s.batch * values * kWork, [=](int64_t task) {
        const int64_t n = task / tiles, first = task % tiles * kTile, left = values - first;
        const int64_t at = (n * s.height + s.row) * values + first;
        body(Tile{n * values + first, at, at - values, left < kTile ? left : kTile});
    });
}

// In two loops: GCC vectorizes both, but not one of both's work.
void forward(int64_t count, const float* sums, const float* above, const float* before, float* gates,
             float* c, float* h, float* row) {
#pragma omp simd
    for (int64_t v = 0; v < 4 * count; v += 4) {
        const LstmGates a = lstm_gates(sums[v] + above[v], sums[v + 1] + above[v + 1],
                                       sums[v + 2] + above[v + 2], sums[v + 3] + above[v + 3]);
        gates[v] = a.o;
        gates[v + 1] = a.f;
        gates[v + 2] = a.i;
        gates[v + 3] = a.g;
    }
#pragma omp simd
    for (int64_t v = 0; v < count; ++v) {
        c[v] = lstm_c(gates[4 * v + 1], before[v], gates[4 * v + 2], gates[4 * v + 3]);
        h[v] = row[v] = gates[4 * v] * fast_tanh(c[v]);
    }
}

void backward(int64_t count, const float* gates, const float* c, const float* before, const float* d_h,
              const float* d_below, float* d_c, float* d_sums, float* d_row) {
#pragma omp simd
    for (int64_t v = 0; v < count; ++v) {
        const LstmGates a = {gates[4 * v], gates[4 * v + 1], gates[4 * v + 2], gates[4 * v + 3]};
        const LstmGates d = lstm_gradient(a, before[v], c[v], d_h[v] + d_below[v], d_c + v);
        d_sums[4 * v] = d_row[4 * v] = d.o;
        d_sums[4 * v + 1] = d_row[4 * v + 1] = d.f;
        d_sums[4 * v + 2] = d_row[4 * v + 2] = d.i;
        d_sums[4 * v + 3] = d_row[4 * v + 3] = d.g;
    }
}

}  // namespace

jl_status lstm_cell_forward(const jl_lstm_cell* shape, const float* sums, const float* above, float* gates,
                            float* c, float* h, float* row, jl_stream) {
    if (const jl_status status = check_lstm_cell_forward(shape, sums, gates, c, h, row)) return status;
    const bool first = shape->row == 0;
    for_tiles(*shape, [=](const Tile& t) {
        forward(t.count, sums + 4 * t.at, above == nullptr ? kZeros : above + 4 * t.own,
                first ? kZeros : c + t.before, gates + 4 * t.at, c + t.at, h + t.at, row + t.own);
    });
    return JL_OK;
}

jl_status lstm_cell_backward(const jl_lstm_cell* shape, const float* gates, const float* c, const float* d_h,
                             const float* d_below, float* d_c, float* d_sums, float* d_row, jl_stream) {
    if (const jl_status status = check_lstm_cell_backward(shape, gates, c, d_h, d_c, d_sums, d_row))
        return status;
    const bool first = shape->row == 0;
    for_tiles(*shape, [=](const Tile& t) {
        backward(t.count, gates + 4 * t.at, c + t.at, first ? kZeros : c + t.before, d_h + t.at,
                 d_below == nullptr ? kZeros : d_below + t.own, d_c + t.own, d_sums + 4 * t.at,
                 d_row + 4 * t.own);
    });
    return JL_OK;
}

}  // namespace jlatent::JL_TABLE

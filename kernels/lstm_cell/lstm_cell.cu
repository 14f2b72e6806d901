#include "lstm_cell.h"

#include "launch.h"

namespace jlatent::JL_TABLE {
namespace {

// A thread a value of the rows, all four gates of it.
struct Value {
    int64_t own, at, before;  // in an array of rows, in a map, and in the map a row above

    __device__ explicit Value(const jl_lstm_cell& s) {
        const int64_t values = s.width * s.channels;
        own = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
        at = (own / values * s.height + s.row) * values + own % values;
        before = at - values;
    }
    __device__ bool exists(const jl_lstm_cell& s) const { return own < s.batch * s.width * s.channels; }
};

__device__ inline LstmGates load_gates(const float* p, int64_t value) {
    const Quad q = load_quad(p, 4 * value, 4);
    return {q.v[0], q.v[1], q.v[2], q.v[3]};
}
__device__ inline void store_gates(float* p, int64_t value, const LstmGates& g) {
    store_quad(p, 4 * value, 4, {{g.o, g.f, g.i, g.g}});
}

__global__ void __launch_bounds__(kBlock)
    forward_kernel(jl_lstm_cell s, const float* __restrict__ sums, const float* __restrict__ above,
                   float* __restrict__ gates, float* __restrict__ c, float* __restrict__ h,
                   float* __restrict__ row) {
    const Value v(s);
    if (!v.exists(s)) return;
    LstmGates x = load_gates(sums, v.at);
    if (above != nullptr) {
        const LstmGates more = load_gates(above, v.own);
        x = {x.o + more.o, x.f + more.f, x.i + more.i, x.g + more.g};
    }
    const LstmGates a = lstm_gates(x.o, x.f, x.i, x.g);
    store_gates(gates, v.at, a);
    const float state = lstm_c(a.f, s.row == 0 ? 0.0f : c[v.before], a.i, a.g);
    c[v.at] = state;
    h[v.at] = row[v.own] = a.o * fast_tanh(state);
}

__global__ void __launch_bounds__(kBlock)
    backward_kernel(jl_lstm_cell s, const float* __restrict__ gates, const float* __restrict__ c,
                    const float* __restrict__ d_h, const float* __restrict__ d_below, float* __restrict__ d_c,
                    float* __restrict__ d_sums, float* __restrict__ d_row) {
    const Value v(s);
    if (!v.exists(s)) return;
    const float below = d_below == nullptr ? 0.0f : d_below[v.own];
    const LstmGates d = lstm_gradient(load_gates(gates, v.at), s.row == 0 ? 0.0f : c[v.before], c[v.at],
                                      d_h[v.at] + below, d_c + v.own);
    store_gates(d_sums, v.at, d);
    store_gates(d_row, v.own, d);
}

unsigned grid(const jl_lstm_cell& s) {
    return static_cast<unsigned>((s.batch * s.width * s.channels + kBlock - 1) / kBlock);
}

}  // namespace

jl_status lstm_cell_forward(const jl_lstm_cell* shape, const float* sums, const float* above, float* gates,
                            float* c, float* h, float* row, jl_stream stream) {
    if (const jl_status status = check_lstm_cell_forward(shape, sums, gates, c, h, row)) return status;
    if (shape->batch == 0) return JL_OK;
    return launch("lstm_cell_forward", grid(*shape), kBlock, 0, stream, forward_kernel, *shape, sums, above,
                  gates, c, h, row);
}

jl_status lstm_cell_backward(const jl_lstm_cell* shape, const float* gates, const float* c, const float* d_h,
                             const float* d_below, float* d_c, float* d_sums, float* d_row,
                             jl_stream stream) {
    if (const jl_status status = check_lstm_cell_backward(shape, gates, c, d_h, d_c, d_sums, d_row))
        return status;
    if (shape->batch == 0) return JL_OK;
    return launch("lstm_cell_backward", grid(*shape), kBlock, 0, stream, backward_kernel, *shape, gates, c,
                  d_h, d_below, d_c, d_sums, d_row);
}

}  // namespace jlatent::JL_TABLE

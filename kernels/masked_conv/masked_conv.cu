// masked_conv on CUDA. Predicted for an H200, not yet measured: 3x3 B, 128 channels to 256, gated, 128 images of 32x32. Units
// of f32 would take 640 us for its 43 GFLOP, at their peak.
//   tensor cores     six products of bf16 for one, 258 GFLOP: 415 us at the 620 TFLOP/s that mma.sync reaches
//   instructions     of sm_90a's code, a warp and step: forward and data about 500, weight 670. Two warps share a scheduler,
//                    whose tensor core takes their 192 mma in 1230 cycles: weight is bound by its 1340 instructions, 450 us
//   second level     forward 1.7 GB, 300 us; the memory itself 134 MB, 31 us
// No registers spill: 166 and 203 of 255 (sm_80: 168 and 197), 41 and 35 KB of shared memory, one block a multiprocessor.
// Factors of bf16 take a sixth of the mma, 70 us; two blocks of forward fit a multiprocessor. What they read and round is more.
// Few channels cost no path of their own: a step is of up to four taps then (TapQuads).
#include "masked_conv.h"

#include "math.h"
#include "tiles_cuda.h"
#include "weight_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

// What kernels count in 32 bits.
jl_status check_extents(const char* operation, const jl_masked_conv& s) {
    for (const int64_t extent : {s.height, s.width, s.channels, s.filters})
        JL_REQUIRE(extent < int64_t{1} << 30,
                   "%s: on CUDA height, width, channels and filters must be below 2^30, one is %lld",
                   operation, static_cast<long long>(extent));
    return JL_OK;
}

// One block a tile, for any shape that fits in memory but absurd ones.
template <class... Parameters, class... Args>
jl_status launch_blocks(const char* operation, int64_t blocks, jl_stream stream,
                        void (*kernel)(Parameters...), Args... args) {
    if (blocks == 0) return JL_OK;
    JL_REQUIRE(blocks < int64_t{1} << 31, "%s: %lld tiles are more than a launch can have", operation,
               static_cast<long long>(blocks));
    return launch(operation, static_cast<unsigned>(blocks), kBlock, 0, stream, kernel, args...);
}

// What becomes of sums.
struct Epilogue {
    int64_t columns;
    int32_t kind;  // jl_epilogue
    const float *bias, *vector, *map;
    float *out, *gates;

    // The same for one pixel alone.
    __device__ Epilogue at(int64_t pixel, int64_t image) const {
        Epilogue e = *this;
        if (vector != nullptr) e.vector += image * columns;
        if (map != nullptr) e.map += pixel * columns;
        if (gates != nullptr) e.gates += pixel * columns;
        e.out += pixel * (is_gated(kind) ? columns / 2 : columns);
        return e;
    }
    // Its columns f and g, -1: none; of a gate, those of one output.
    __device__ void store(int f, int g, float a, float b) const {
        if (f < 0) return;
        a = total(f, a);
        if (g >= 0) b = total(g, b);
        if (is_gated(kind)) {
            if (kind == JL_GATE) a = fast_tanh(a);
            b = sigmoid(b);
            out[f] = a * b;
            if (gates != nullptr) gates[f] = a, gates[g] = b;
        } else {
            const bool rectified = kind == JL_RECTIFIED;
            out[f] = rectified && a < 0.0f ? 0.0f : a;
            if (g >= 0) out[g] = rectified && b < 0.0f ? 0.0f : b;
        }
    }
    __device__ float total(int f, float a) const {
        if (bias != nullptr) a += bias[f];
        if (vector != nullptr) a += vector[f];
        if (map != nullptr) a += map[f];
        return a;
    }
};

// Neighbouring blocks have the same pixels.
template <int kParts>
__global__ void __launch_bounds__(kBlock, kParts == 1 ? 2 : 1)
    sums_kernel(Sums c, int64_t tiles, const float* __restrict__ in, const uint32_t* __restrict__ packed,
                Epilogue epilogue) {
    const int64_t first = blockIdx.x / tiles * kTileRows, first_pair = blockIdx.x % tiles * kTilePairs,
                  pixels = c.s.batch * c.s.height * c.s.width;
    TileSums<kParts> tile;
    tile.add_all(c, in, packed, first, first_pair);
    JL_UNROLL
    for (int r = 0; r < 4; ++r) {
        const int64_t pixel = first + TileSums<kParts>::row(r / 2, r % 2);
        if (pixel >= pixels) break;
        const Epilogue own = epilogue.at(pixel, pixel / (c.s.height * c.s.width));
        JL_UNROLL
        for (int i = 0; i < 2 * kWarpPairs; ++i) {
            const int pair = static_cast<int>(first_pair) + TileSums<kParts>::pair(i / 2), e = i % 2,
                      q = 2 * lane_slot() + e;  // a sum's column in each mma
            own.store(c.columns.of(pair, 0, q), c.columns.of(pair, 1, q),
                      tile.sum[r / 2][i / 2 * 2][r % 2 * 2 + e],
                      tile.sum[r / 2][i / 2 * 2 + 1][r % 2 * 2 + e]);
        }
    }
}

template <int kParts>
jl_status launch_sums_of(const char* operation, const Sums& c, const float* in, const float* weight,
                         const Epilogue& epilogue, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_extents(operation, c.s)) return status;
    uint32_t* packed = reinterpret_cast<uint32_t*>(workspace_floats(workspace));
    if (const jl_status status =
            launch_blocks(operation, (c.steps * c.pairs * kWarp + kBlock - 1) / kBlock, stream,
                          pack_kernel<kParts>, c, weight, reinterpret_cast<FourWords*>(packed)))
        return status;
    const int64_t row_tiles = (pixels_of(c.s) + kTileRows - 1) / kTileRows;
    return launch_blocks(operation, row_tiles * c.tiles(), stream, sums_kernel<kParts>, c, c.tiles(), in,
                         packed, epilogue);
}
jl_status launch_sums(const char* operation, const Sums& c, const float* in, const float* weight,
                      const Epilogue& epilogue, jl_workspace workspace, jl_stream stream) {
    const auto launch_parts = c.parts() == 1 ? &launch_sums_of<1> : &launch_sums_of<3>;
    return launch_parts(operation, c, in, weight, epilogue, workspace, stream);
}

__global__ void gate_kernel(bool linear, int64_t outputs, int64_t count, const float* __restrict__ gates,
                            const float* __restrict__ d_out, float* __restrict__ d_a) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= count) return;
    const int64_t at = i / outputs * 2 * outputs + i % outputs;
    gate_gradient(linear, gates[at], gates[at + outputs], d_out[i], d_a + at, d_a + at + outputs);
}

// partial [splits, floats of each]
template <int kParts>
__global__ void __launch_bounds__(kBlock, 1)
    weight_kernel(jl_masked_conv s, Taps taps, Splits splits, const float* __restrict__ x,
                  const float* __restrict__ d_a, float* __restrict__ partial) {
    const int64_t quad = blockIdx.x % splits.quad_tiles * (kGradientSide / 4),
                  filter = blockIdx.x / splits.quad_tiles % splits.filter_tiles * kGradientSide,
                  split = blockIdx.x / splits.quad_tiles / splits.filter_tiles,
                  pixels = s.batch * s.height * s.width;
    WeightSums<kParts> sums = {s, taps, splits, quad, filter};
    sums.add_all(x, d_a, splits.start(pixels, split), splits.start(pixels, split + 1));
    sums.store(partial + split * splits.floats);
}

// A warp's width of filters a block, its eight warps every eighth pixel.
__global__ void bias_kernel(jl_masked_conv s, Splits splits, const float* __restrict__ d_a,
                            float* __restrict__ partial) {
    JL_SHARED(float, sums, [kBlock]);
    const int64_t tiles = (s.filters + kWarp - 1) / kWarp, split = blockIdx.x / tiles,
                  f = blockIdx.x % tiles * kWarp + threadIdx.x % kWarp, pixels = s.batch * s.height * s.width,
                  end = splits.start(pixels, split + 1);
    float sum = 0.0f;
    if (f < s.filters)
        for (int64_t p = splits.start(pixels, split) + threadIdx.x / kWarp; p < end; p += kBlock / kWarp)
            sum += d_a[p * s.filters + f];
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x >= kWarp || f >= s.filters) return;
    for (int w = 1; w < kBlock / kWarp; ++w) sum += sums[w * kWarp + threadIdx.x];
    partial[split * splits.floats + splits.weights + f] = sum;
}

// A thread an element of d_weight, then of d_bias.
__global__ void total_kernel(jl_masked_conv s, Taps taps, Splits splits, const float* __restrict__ partial,
                             float* __restrict__ d_weight, float* __restrict__ d_bias) {
    int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    const int64_t weights = s.filters * taps.weight_taps() * s.channels;
    if (i >= weights + s.filters) return;
    float* to = i < weights ? d_weight + i : d_bias == nullptr ? nullptr : d_bias + i - weights;
    if (to == nullptr) return;
    int64_t at = splits.weights + i - weights;  // in a split; -1: nothing is seen there
    if (i < weights) {
        const int64_t c = i % s.channels, tap = i / s.channels % taps.weight_taps(),
                      f = i / s.channels / taps.weight_taps();
        const int64_t t = taps.tap_at(tap);
        const bool seen = t >= 0 && c < seen_channels(s, taps, t, f);
        at = seen ? (f * splits.quads.all + t * splits.quads.a_tap) * 4 + c : -1;
    }
    float sum = 0.0f;
    if (at >= 0)
        for (int64_t split = 0; split < splits.count; ++split) sum += partial[split * splits.floats + at];
    *to = sum;
}

}  // namespace

size_t masked_conv_workspace(const jl_masked_conv* shape) {
    if (check_masked_conv("masked_conv_workspace", shape) != JL_OK) return 0;
    const Splits splits(*shape);
    size_t most = static_cast<size_t>(splits.count * splits.floats) * sizeof(float);
    for (const Sums& c : {Sums::forward(*shape), Sums::backward(*shape)}) {
        const size_t packed = static_cast<size_t>(c.packed_words()) * sizeof(uint32_t);
        if (packed > most) most = packed;
    }
    return kWorkspaceHeader + most;
}

jl_status masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                              const float* bias, const float* vector, const float* map, float* out,
                              float* gates, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_masked_conv_forward(shape, x, weight, out, gates, workspace))
        return status;
    return launch_sums("masked_conv_forward", Sums::forward(*shape), x, weight,
                       {shape->filters, shape->epilogue, bias, vector, map, out, gates}, workspace, stream);
}

jl_status masked_conv_backward_gate(const jl_masked_conv* shape, const float* gates, const float* d_out,
                                    float* d_a, jl_stream stream) {
    if (const jl_status status = check_masked_conv_backward_gate(shape, gates, d_out, d_a)) return status;
    const int64_t outputs = outputs_of(*shape), count = pixels_of(*shape) * outputs;
    return launch_blocks("masked_conv_backward_gate", (count + kBlock - 1) / kBlock, stream, gate_kernel,
                         shape->epilogue == JL_GLU, outputs, count, gates, d_out, d_a);
}

jl_status masked_conv_backward_data(const jl_masked_conv* shape, const float* d_a, const float* weight,
                                    float* d_x, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_masked_conv_backward_data(shape, d_a, weight, d_x, workspace))
        return status;
    return launch_sums("masked_conv_backward_data", Sums::backward(*shape), d_a, weight,
                       {shape->channels, JL_PLAIN, nullptr, nullptr, nullptr, d_x, nullptr}, workspace,
                       stream);
}

jl_status masked_conv_backward_weight(const jl_masked_conv* shape, const float* x, const float* d_a,
                                      float* d_weight, float* d_bias, jl_workspace workspace,
                                      jl_stream stream) {
    if (const jl_status status = check_masked_conv_backward_weight(shape, x, d_a, d_weight, workspace))
        return status;
    const jl_masked_conv s = *shape;
    if (const jl_status status = check_extents("masked_conv_backward_weight", s)) return status;
    const Taps taps = taps_of(s);
    const Splits splits(s);
    float* partial = workspace_floats(workspace);
    const auto kernel = s.factors == JL_BF16 ? &weight_kernel<1> : &weight_kernel<3>;
    if (const jl_status status = launch_blocks("masked_conv_backward_weight",
                                               splits.count * splits.filter_tiles * splits.quad_tiles, stream,
                                               kernel, s, taps, splits, x, d_a, partial))
        return status;
    if (d_bias != nullptr)
        if (const jl_status status = launch_blocks("masked_conv_backward_weight (bias)",
                                                   splits.count * ((s.filters + kWarp - 1) / kWarp), stream,
                                                   bias_kernel, s, splits, d_a, partial))
            return status;
    return launch_blocks("masked_conv_backward_weight (total)",
                         (s.filters * (taps.weight_taps() * s.channels + 1) + kBlock - 1) / kBlock, stream,
                         total_kernel, s, taps, splits, partial, d_weight, d_bias);
}

}  // namespace jlatent::JL_TABLE

#include "masked_conv.h"

#include "math.h"
#include "tiles_cuda.h"

namespace jlatent::JL_TABLE {
namespace {

int64_t tiles_of(int64_t count, int64_t a_tile = kTileSide) { return (count + a_tile - 1) / a_tile; }

// One block a tile, for any shape that fits in memory but absurd ones.
template <class... Parameters, class... Args>
jl_status launch_blocks(const char* operation, int64_t blocks, jl_stream stream,
                        void (*kernel)(Parameters...), Args... args) {
    if (blocks == 0) return JL_OK;
    JL_REQUIRE(blocks < int64_t{1} << 31, "%s: %lld tiles are more than a launch can have", operation,
               static_cast<long long>(blocks));
    return launch(operation, static_cast<unsigned>(blocks), kBlock, 0, stream, kernel, args...);
}

// All taps' products for a tile of pixels and columns.
template <bool kGradient>
__device__ void convolve(const jl_masked_conv& s, const Taps& taps, const float* in, const float* weight,
                         const Columns& columns, int64_t first, int64_t tile, float (&sum)[kEach][kEach]) {
    JL_SHARED(TileShared, shared, [1]);
    const int64_t depth = kGradient ? s.filters : s.channels;
    PixelRows rows(in, s, depth, first);
    WeightRows<kGradient> weights = {weight, s, taps, columns, tile, 0};
    for (int64_t t = 0; t < taps.count(); ++t) {
        rows.move_to(kGradient ? -taps.dy(t) : taps.dy(t), kGradient ? -taps.dx(t) : taps.dx(t));
        weights.tap = t;
        tile_product(depth, rows, weights, shared, sum);
    }
}

struct Epilogue {
    const float *bias, *vector, *map;
    float *out, *gates;

    __device__ float sum(const jl_masked_conv& s, int64_t pixel, int64_t f, float a) const {
        if (bias != nullptr) a += bias[f];
        if (vector != nullptr) a += vector[pixel / (s.height * s.width) * s.filters + f];
        if (map != nullptr) a += map[pixel * s.filters + f];
        return a;
    }
};

// Neighbouring blocks have the same pixels.
__global__ void forward_kernel(jl_masked_conv s, Taps taps, Columns columns, int64_t tiles,
                               const float* __restrict__ x, const float* __restrict__ weight,
                               Epilogue epilogue) {
    const int64_t first = blockIdx.x / tiles * kTileSide, tile = blockIdx.x % tiles,
                  pixels = s.batch * s.height * s.width;
    float sum[kEach][kEach] = {};
    convolve<false>(s, taps, x, weight, columns, first, tile, sum);
    JL_UNROLL
    for (int i = 0; i < kEach; ++i) {
        const int64_t pixel = first + tile_group() * kEach + i;
        if (pixel >= pixels) break;
        JL_UNROLL
        for (int j = 0; j < kEach; ++j) {
            const int64_t f = columns.of(tile, tile_slot() + j * kSlots);
            if (f >= 0) sum[i][j] = epilogue.sum(s, pixel, f, sum[i][j]);
            if (f >= 0 && !is_gated(s.epilogue))
                epilogue.out[pixel * s.filters + f] =
                    s.epilogue == JL_RECTIFIED && sum[i][j] < 0.0f ? 0.0f : sum[i][j];
        }
        if (!is_gated(s.epilogue)) continue;
        JL_UNROLL
        for (int j = 0; j < kEach / 2; ++j) {
            const int64_t c = columns.of(tile, tile_slot() + j * kSlots), outputs = s.filters / 2;
            if (c < 0) continue;
            const float t = s.epilogue == JL_GLU ? sum[i][j] : fast_tanh(sum[i][j]),
                        g = sigmoid(sum[i][j + kEach / 2]);
            epilogue.out[pixel * outputs + c] = t * g;
            if (epilogue.gates == nullptr) continue;
            epilogue.gates[pixel * s.filters + c] = t;
            epilogue.gates[pixel * s.filters + outputs + c] = g;
        }
    }
}

__global__ void data_kernel(jl_masked_conv s, Taps taps, Columns columns, int64_t tiles,
                            const float* __restrict__ d_a, const float* __restrict__ weight,
                            float* __restrict__ d_x) {
    const int64_t first = blockIdx.x / tiles * kTileSide, tile = blockIdx.x % tiles,
                  pixels = s.batch * s.height * s.width;
    float sum[kEach][kEach] = {};
    convolve<true>(s, taps, d_a, weight, columns, first, tile, sum);
    JL_UNROLL
    for (int i = 0; i < kEach; ++i) {
        const int64_t pixel = first + tile_group() * kEach + i;
        if (pixel >= pixels) break;
        JL_UNROLL
        for (int j = 0; j < kEach; ++j) {
            const int64_t c = columns.of(tile, tile_slot() + j * kSlots);
            if (c >= 0) d_x[pixel * s.channels + c] = sum[i][j];
        }
    }
}

__global__ void gate_kernel(bool linear, int64_t outputs, int64_t count, const float* __restrict__ gates,
                            const float* __restrict__ d_out, float* __restrict__ d_a) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i >= count) return;
    const int64_t at = i / outputs * 2 * outputs + i % outputs;
    gate_gradient(linear, gates[at], gates[at + outputs], d_out[i], d_a + at, d_a + at + outputs);
}

// The pixels are cut into so many sums of the weight's gradient, which are added in the end.
constexpr int64_t kMostSplits = 16, kLeastSplit = 256, kMostSplitFloats = int64_t{1} << 28;

struct Splits {
    int64_t count, floats, filter_tiles, channel_tiles;

    explicit Splits(const jl_masked_conv& s)
        : count((pixels_of(s) + kLeastSplit - 1) / kLeastSplit),
          floats(s.filters * (taps_of(s).count() * s.channels + 1)),
          filter_tiles(tiles_of(s.filters)),
          channel_tiles(tiles_of(s.channels)) {
        const int64_t room = kMostSplitFloats / floats;
        if (count > kMostSplits) count = kMostSplits;
        if (count > room) count = room < 1 ? 1 : room;
    }
};

__device__ inline int64_t split_start(int64_t pixels, int64_t split, int64_t splits) {
    return pixels / splits * split + pixels % splits * split / splits;
}

// partial [splits, filters, taps, channels]
__global__ void weight_kernel(jl_masked_conv s, Taps taps, Splits splits, const float* __restrict__ x,
                              const float* __restrict__ d_a, float* __restrict__ partial) {
    JL_SHARED(TileShared, shared, [1]);
    int64_t i = blockIdx.x;
    const int64_t channel = i % splits.channel_tiles * kTileSide;
    i /= splits.channel_tiles;
    const int64_t filter = i % splits.filter_tiles * kTileSide;
    i /= splits.filter_tiles;
    const int64_t t = i % taps.count(), split = i / taps.count(), pixels = s.batch * s.height * s.width;
    const int64_t first = split_start(pixels, split, splits.count),
                  end = split_start(pixels, split + 1, splits.count);
    float sum[kEach][kEach] = {};
    tile_product(end - first, PixelColumns{d_a, s, s.filters, filter, first, end, 0, 0},
                 PixelColumns{x, s, s.channels, channel, first, end, taps.dy(t), taps.dx(t)}, shared, sum);
    JL_UNROLL
    for (int r = 0; r < kEach; ++r) {
        JL_UNROLL
        for (int j = 0; j < kEach; ++j) {
            const int64_t f = filter + tile_group() * kEach + r, c = channel + tile_slot() + j * kSlots;
            if (f < s.filters && c < s.channels)
                partial[split * splits.floats + (f * taps.count() + t) * s.channels + c] = sum[r][j];
        }
    }
}

// A warp's width of filters a block, its eight warps every eighth pixel; sums lie behind the split's weights.
__global__ void bias_kernel(jl_masked_conv s, Splits splits, const float* __restrict__ d_a,
                            float* __restrict__ partial) {
    JL_SHARED(float, sums, [kBlock]);
    const int64_t tiles = (s.filters + kWarp - 1) / kWarp, split = blockIdx.x / tiles,
                  f = blockIdx.x % tiles * kWarp + threadIdx.x % kWarp, pixels = s.batch * s.height * s.width,
                  end = split_start(pixels, split + 1, splits.count);
    float sum = 0.0f;
    if (f < s.filters)
        for (int64_t p = split_start(pixels, split, splits.count) + threadIdx.x / kWarp; p < end;
             p += kBlock / kWarp)
            sum += d_a[p * s.filters + f];
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x >= kWarp || f >= s.filters) return;
    for (int w = 1; w < kBlock / kWarp; ++w) sum += sums[w * kWarp + threadIdx.x];
    partial[(split + 1) * splits.floats - s.filters + f] = sum;
}

// A thread an element of d_weight, then of d_bias.
__global__ void total_kernel(jl_masked_conv s, Taps taps, Splits splits, const float* __restrict__ partial,
                             float* __restrict__ d_weight, float* __restrict__ d_bias) {
    int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    const int64_t weights = s.filters * taps.weight_taps() * s.channels;
    if (i >= weights + s.filters) return;
    float* to = i < weights ? d_weight + i : d_bias == nullptr ? nullptr : d_bias + i - weights;
    if (to == nullptr) return;
    int64_t at = splits.floats - s.filters + i - weights;  // in a split; -1: nothing is seen there
    if (i < weights) {
        const int64_t c = i % s.channels, tap = i / s.channels % taps.weight_taps(),
                      f = i / s.channels / taps.weight_taps();
        const int64_t t = taps.tap_at(tap);
        at = t >= 0 && c < seen_channels(s, taps, t, f) ? (f * taps.count() + t) * s.channels + c : -1;
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
    return kWorkspaceHeader + static_cast<size_t>(splits.count * splits.floats) * sizeof(float);
}

jl_status masked_conv_forward(const jl_masked_conv* shape, const float* x, const float* weight,
                              const float* bias, const float* vector, const float* map, float* out,
                              float* gates, jl_workspace workspace, jl_stream stream) {
    if (const jl_status status = check_masked_conv_forward(shape, x, weight, out, gates, workspace))
        return status;
    const jl_masked_conv s = *shape;
    const bool gate = is_gated(s.epilogue);
    const int64_t tiles = tiles_of(outputs_of(s), gate ? kTileSide / 2 : kTileSide);
    return launch_blocks("masked_conv_forward", tiles_of(pixels_of(s)) * tiles, stream, forward_kernel, s,
                         taps_of(s), Columns{s.filters, gate}, tiles, x, weight,
                         Epilogue{bias, vector, map, out, gates});
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
    const jl_masked_conv s = *shape;
    const int64_t tiles = tiles_of(s.channels);
    return launch_blocks("masked_conv_backward_data", tiles_of(pixels_of(s)) * tiles, stream, data_kernel, s,
                         taps_of(s), Columns{s.channels, false}, tiles, d_a, weight, d_x);
}

jl_status masked_conv_backward_weight(const jl_masked_conv* shape, const float* x, const float* d_a,
                                      float* d_weight, float* d_bias, jl_workspace workspace,
                                      jl_stream stream) {
    if (const jl_status status = check_masked_conv_backward_weight(shape, x, d_a, d_weight, workspace))
        return status;
    const jl_masked_conv s = *shape;
    const Taps taps = taps_of(s);
    const Splits splits(s);
    float* partial = workspace_floats(workspace);
    if (const jl_status status =
            launch_blocks("masked_conv_backward_weight",
                          splits.count * taps.count() * splits.filter_tiles * splits.channel_tiles, stream,
                          weight_kernel, s, taps, splits, x, d_a, partial))
        return status;
    if (d_bias != nullptr)
        if (const jl_status status =
                launch_blocks("masked_conv_backward_weight (bias)", splits.count * tiles_of(s.filters, kWarp),
                              stream, bias_kernel, s, splits, d_a, partial))
            return status;
    return launch_blocks("masked_conv_backward_weight (total)",
                         tiles_of(s.filters * (taps.weight_taps() * s.channels + 1), kBlock), stream,
                         total_kernel, s, taps, splits, partial, d_weight, d_bias);
}

}  // namespace jlatent::JL_TABLE

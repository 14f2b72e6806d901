// pixel_sampler on CUDA: one launch draws whole images. A team of blocks draws some of them from beginning to end, and its
// blocks wait for nobody else.
//
// What a pixel costs: each of its nodes needs the one before, and all weights are read once more, from the second-level cache,
// at about 64 bytes a clock and multiprocessor. Gated, 15 layers of 128 are 6 MB of weights in f32 and 30 nodes deep: one block
// alone reads them in 55 us, a cluster of 8 in 7 us, and waits 30 times. A barrier of a cluster takes some 0.3 us, one of the
// whole grid some 1.5 us. So a team is a cluster of 8 as long as all teams of 8 images run at the same time, up to 128 images
// on 132 multiprocessors; with more images teams get smaller, down to a block, which needs no barrier but its own.
//
// Who computes what: a masked_conv's tiles, 32 filters by 8 pixels, go round the team's blocks, and so do pixels and heads of
// attention; everything else is done by the block that draws the image. In a tile every warp takes a part of the taps; its lanes
// are filters. So a sum's order depends on neither the batch nor the team.
#include "pixel_sampler.h"

#include "attend_cuda.h"
#include "elementwise/concat_elu.h"
#include "launch.h"
#include "likelihood/draw_cuda.h"
#include "program.h"

namespace jlatent::JL_TABLE {
namespace {

constexpr int kThreads = 512, kWarps = kThreads / kWarp;
constexpr int kColumns = 32, kPixels = 8;  // of a tile
constexpr int kDepth = 256;                // of what a tile's pixels see, in shared memory at a time
constexpr int kQuad = 4;                   // neighbours in depth that a lane takes together
constexpr unsigned kMostBlocks = 8;        // of a team

// Columns of a tile: of a gate 16 for tanh, then 16 for sigmoid of the same outputs.
JL_HOST_DEVICE int64_t tiles_of(const jl_masked_conv& s) {
    const int64_t a_tile = is_gated(s.epilogue) ? kColumns / 2 : kColumns;
    return (outputs_of(s) / s.groups + a_tile - 1) / a_tile;
}
// Which filter of group g it is; -1: none.
__device__ inline int64_t filter_of(const jl_masked_conv& s, int64_t g, int64_t tile, int lane) {
    const bool gate = is_gated(s.epilogue);
    const int64_t outputs = outputs_of(s), a_group = outputs / s.groups,
                  o = gate ? tile * (kColumns / 2) + lane % (kColumns / 2) : tile * kColumns + lane;
    if (o >= a_group) return -1;
    return g * a_group + o + (gate && lane >= kColumns / 2 ? outputs : 0);
}

// Weights are [groups, tiles, depth in whole quads, kColumns].
JL_HOST_DEVICE int64_t tile_depth(const Step& step) {
    return (step.taps.count() * step.conv.channels + kQuad - 1) / kQuad * kQuad;
}
int64_t weight_floats(const Step& step) {
    return step.conv.groups * tiles_of(step.conv) * tile_depth(step) * kColumns;
}

// Puts a step where the sampler finds it, and its weights in order.
__global__ void pack_kernel(Step step, Step* to, float* weights) {
    const int64_t i = blockIdx.x * static_cast<int64_t>(kBlock) + threadIdx.x;
    if (i == 0) *to = step;
    if (step.node.kind != JL_NODE_MASKED_CONV) return;
    const jl_masked_conv& s = step.conv;
    const int64_t depth = tile_depth(step), tiles = tiles_of(s);
    if (i >= s.groups * tiles * depth * kColumns) return;
    const int64_t k = i / kColumns % depth, tile = i / kColumns / depth, t = k / s.channels,
                  c = k % s.channels;
    const int64_t f = filter_of(s, tile / tiles, tile % tiles, static_cast<int>(i % kColumns));
    const bool seen = f >= 0 && t < step.taps.count() && c < seen_channels(s, step.taps, t, f);
    weights[step.weights + i] =
        seen ? step.node.data[(f * step.taps.weight_taps() + step.taps.weight_tap(t)) * s.channels + c]
             : 0.0f;
}

struct Arguments {
    jl_pixel_sampler s;
    const Step* steps;
    int32_t step_count;
    int64_t image_floats, images;  // images: of a team
    const float* weights;
    float* memory;
    const int32_t* given;
    const jl_random* random;
    int32_t* image;
    float *parameters, *margins;
    unsigned blocks;  // of a team
};

struct TileShared {
    alignas(16) float seen[kPixels][kDepth];
    float sums[kWarps][kPixels][kColumns];
};

// Pixels of a map that are computed together: (y, x) of all the team's images, or row y of them.
struct Pixels {
    int64_t first, count, y, x, width;  // first image; all; width: 1, or the row's

    __device__ int64_t image(int64_t i) const { return first + i / width; }
    __device__ int64_t column(int64_t i) const { return x + i % width; }
    // Those of a map whose sides are halved so often.
    __device__ Pixels halved(int32_t halvings) const {
        const int64_t across = width > 1 ? width >> halvings : 1;
        return {first, count / width * across, y >> halvings, x >> halvings, across};
    }
};

struct Team {
    const Arguments& a;
    TileShared* shared;
    int64_t first, count;  // images
    int64_t block;         // of the team's
    int64_t tiles = 0;     // so far: they go round

    __device__ float* at(const Step& step, int64_t n, int64_t y, int64_t x) const {
        return a.memory + n * a.image_floats + step.at(a.s.width, y, x);
    }
    __device__ int64_t pixel(int64_t n, int64_t y, int64_t x) const {
        return (n * a.s.height + y) * a.s.width + x;
    }
    __device__ void wait() const {
        if (a.blocks > 1)
            cluster_sync();
        else
            __syncthreads();
    }

    // Value k of what a tap's row, and those below it, see from pixel i. Other blocks wrote it: past the first-level cache.
    __device__ float seen(const Step& step, const Step& in, const Pixels& pixels, int64_t i,
                          int64_t k) const {
        const int64_t a_row = step.taps.across() * step.conv.channels, row = k / a_row;
        const int64_t r = row < step.taps.above ? row : step.taps.above;
        return __ldcg(
            at(in, pixels.image(i), pixels.y - step.taps.above + r, pixels.column(i) - step.taps.side) + k -
            r * a_row);
    }

    __device__ void convolve(const Step& step, int64_t g, const Pixels& pixels, int64_t start,
                             int64_t tile) const {
        const int lane = static_cast<int>(threadIdx.x) % kWarp, warp = static_cast<int>(threadIdx.x) / kWarp;
        const Step& in = a.steps[step.node.input];
        const int64_t depth = step.depth(g);
        const float* weights =
            a.weights + step.weights + (g * tiles_of(step.conv) + tile) * tile_depth(step) * kColumns + lane;
        float sum[kPixels] = {};
        int64_t base = 0;
        do {
            if (base > 0) __syncthreads();  // the last part has been read
            for (int i = static_cast<int>(threadIdx.x); i < kPixels * kDepth; i += kThreads) {
                const int64_t p = start + i / kDepth, k = base + i % kDepth;
                shared->seen[i / kDepth][i % kDepth] =
                    p < pixels.count && k < depth ? seen(step, in, pixels, p, k) : 0.0f;
            }
            __syncthreads();
            for (int k = warp * kQuad; k < kDepth && base + k < depth; k += kWarps * kQuad) {
                float w[kQuad];
                JL_UNROLL
                for (int q = 0; q < kQuad; ++q) w[q] = weights[(base + k + q) * kColumns];
                JL_UNROLL
                for (int p = 0; p < kPixels; ++p) {
                    const float4 x = *reinterpret_cast<const float4*>(&shared->seen[p][k]);
                    sum[p] += x.x * w[0];
                    sum[p] += x.y * w[1];
                    sum[p] += x.z * w[2];
                    sum[p] += x.w * w[3];
                }
            }
            base += kDepth;
        } while (base < depth);
        JL_UNROLL
        for (int p = 0; p < kPixels; ++p) shared->sums[warp][p][lane] = sum[p];
        __syncthreads();
        if (warp < kPixels && start + warp < pixels.count)  // a warp a pixel
            finish(step, pixels, start + warp, filter_of(step.conv, g, tile, lane), warp, lane);
    }

    __device__ void finish(const Step& step, const Pixels& pixels, int64_t i, int64_t f, int p,
                           int lane) const {
        const jl_sampler_node& node = step.node;
        const int64_t n = pixels.image(i), x = pixels.column(i);
        float v = 0.0f;
        for (int w = 0; w < kWarps; ++w) v += shared->sums[w][p][lane];
        if (f >= 0) {
            if (node.bias != nullptr) v += node.bias[f];
            if (node.vector != nullptr) v += node.vector[n * step.conv.filters + f];
            if (node.other >= 0) v += __ldcg(at(a.steps[node.other], n, pixels.y, x) + f);
        }
        float* to = at(step, n, pixels.y, x);
        if (is_gated(node.function)) {
            const float open = __shfl_down_sync(0xffffffffu, v, kColumns / 2);
            if (f >= 0 && lane < kColumns / 2)
                to[f] = (node.function == JL_GLU ? v : fast_tanh(v)) * sigmoid(open);
        } else if (f >= 0) {
            to[f] = node.function == JL_RECTIFIED && v < 0.0f ? 0.0f : v;
        }
    }

    // Channel c of a map of another size.
    __device__ float resized(const Step& step, int64_t n, int64_t y, int64_t x, int64_t c) const {
        const bool up = step.node.kind == JL_NODE_UPSAMPLE;
        return __ldcg(at(a.steps[step.node.input], n, up ? y / 2 : 2 * y, up ? x / 2 : 2 * x) + c);
    }
    // Both signs of channel c % (channels / 2), of which c has one.
    __device__ float concat_elu(const Step& step, int64_t n, int64_t y, int64_t x, int64_t c) const {
        const int64_t half = step.node.channels / 2;
        const float* from = at(a.steps[step.node.input], n, y, x);
        return Elu::value(c < half ? __ldcg(from + c) : -__ldcg(from + c - half));
    }

    // Channel c of c, or of h of c.
    __device__ float lstm(const Step& step, int64_t n, int64_t y, int64_t x, int64_t c) const {
        const float* sums = at(a.steps[step.node.input], n, y, x) + 4 * c;
        if (step.node.kind == JL_NODE_LSTM_HIDDEN)
            return sigmoid(__ldcg(sums)) * fast_tanh(__ldcg(at(a.steps[step.node.other], n, y, x) + c));
        return lstm_c(sigmoid(__ldcg(sums + 1)), __ldcg(at(step, n, y - 1, x) + c), sigmoid(__ldcg(sums + 2)),
                      fast_tanh(__ldcg(sums + 3)));
    }

    // Channel c at one pixel of the map, of all but masked_conv.
    __device__ float value(const Step& step, int64_t n, int64_t y, int64_t x, int64_t c) const {
        const jl_sampler_node& node = step.node;
        const int64_t dims = node.channels / a.s.channels;
        switch (node.kind) {
            case JL_NODE_PIXELS:
            case JL_NODE_EMBEDDING:
                return node_value(node, dims, a.image[pixel(n, y, x) * a.s.channels + c / dims], c % dims);
            case JL_NODE_GIVEN:
                return node.data[pixel(n, y, x) * node.channels + c];
            case JL_NODE_ADD:
                return __ldcg(at(a.steps[node.input], n, y, x) + c) +
                       __ldcg(at(a.steps[node.other], n, y, x) + c);
            case JL_NODE_SUBSAMPLE:
            case JL_NODE_UPSAMPLE:
                return resized(step, n, y, x, c);
            case JL_NODE_CONCAT_ELU:
                return concat_elu(step, n, y, x, c);
            case JL_NODE_LSTM_CELL:
            case JL_NODE_LSTM_HIDDEN:
                return lstm(step, n, y, x, c);
            default:
                return activated(node.function, __ldcg(at(a.steps[node.input], n, y, x) + c));
        }
    }

    __device__ void attend_all(const Step& step, const Pixels& pixels) {
        for (int64_t i = 0; i < pixels.count; ++i)
            for (int64_t head = 0; head < step.node.groups; ++head)
                if (tiles++ % a.blocks == block)
                    attend<kWarps>(step, a.steps[step.node.input], a.s.width,
                                   a.memory + pixels.image(i) * a.image_floats, pixels.y, pixels.column(i),
                                   head);
    }

    __device__ void run(const Step& step, int64_t g, const Pixels& pixels) {
        if (step.node.kind == JL_NODE_MASKED_CONV) {
            const int64_t across = tiles_of(step.conv);
            for (int64_t start = 0; start < pixels.count; start += kPixels)
                for (int64_t tile = 0; tile < across; ++tile)
                    if (tiles++ % a.blocks == block) convolve(step, g, pixels, start, tile);
            return;
        }
        if (step.node.kind == JL_NODE_ATTENTION) return attend_all(step, pixels);
        const Channels own = group_channels(step, g);
        for (int64_t n = block; n < count; n += a.blocks)
            for (int64_t i = threadIdx.x; i < pixels.width * own.count; i += kThreads) {
                const int64_t x = pixels.x + i / own.count, c = own.first + i % own.count;
                at(step, first + n, pixels.y, x)[c] = value(step, first + n, pixels.y, x, c);
            }
    }

    // All nodes of one time that have the image's pixels, in order; between them waits who reads what was not yet waited for.
    __device__ void sweep(When when, int64_t g, const Pixels& image) {
        bool any = false;
        int32_t waited = 0;  // nodes before this one
        for (int32_t i = 0; i < a.step_count; ++i) {
            const Step& step = a.steps[i];
            if (step.when != when || !step.is_at(image.y, image.x)) continue;
            if (step.waits_for >= waited) {
                wait();
                waited = i;
            }
            any = true;
            const Pixels pixels = image.halved(step.halvings);
            if (when >= kGroup)
                run(step, g, pixels);
            else
                for (int64_t own = 0; own < step.groups; ++own) run(step, own, pixels);
        }
        if (any) wait();
    }

    // A warp an image.
    __device__ void draw(int64_t g, int64_t y, int64_t x) const {
        const jl_pixel_sampler& s = a.s;
        const int lane = static_cast<int>(threadIdx.x) % kWarp;
        const int64_t a_group = s.channels / s.groups, warp = threadIdx.x / kWarp;
        const Step& last = a.steps[a.step_count - 1];
        for (int64_t n = block + warp * a.blocks; n < count; n += kWarps * a.blocks) {
            const int64_t p = pixel(first + n, y, x), element = s.first_image * s.height * s.width + p;
            const float* of = at(last, first + n, y, x);
            const float margin = draw_pixel<Warp>(
                s, *a.random, element, g * a_group, a_group, of, last.node.channels,
                a.given == nullptr ? nullptr : a.given + p * s.channels, a.image + p * s.channels);
            if (lane == 0 && a.margins != nullptr)
                a.margins[p] = g > 0 && a.margins[p] < margin ? a.margins[p] : margin;
            if (a.parameters != nullptr && g == s.groups - 1)
                for (int64_t c = lane; c < last.node.channels; c += kWarp)
                    a.parameters[p * last.node.channels + c] = of[c];
        }
        __syncthreads();  // this block goes on with what it has drawn
    }
};

__global__ void __launch_bounds__(kThreads) sample_kernel(Arguments a) {
    JL_SHARED(TileShared, shared, [1]);
    const int64_t team = blockIdx.x / a.blocks, first = team * a.images, left = a.s.batch - first,
                  count = left < a.images ? left : a.images;
    Team t = {a, shared, first, count, blockIdx.x % a.blocks};
    for (int64_t i = t.block * kThreads + threadIdx.x; i < count * a.image_floats; i += a.blocks * kThreads)
        a.memory[first * a.image_floats + i] = 0.0f;
    t.wait();
    for (int64_t y = 0; y < a.s.height; ++y) {
        t.sweep(kRow, 0, {first, count * a.s.width, y, 0, a.s.width});
        for (int64_t x = 0; x < a.s.width; ++x) {
            const Pixels pixels = {first, count, y, x, 1};
            t.sweep(kPixel, 0, pixels);
            for (int64_t g = 0; g < a.s.groups; ++g) {
                t.sweep(kGroup, g, pixels);
                t.draw(g, y, x);
                t.sweep(kOwn, g, pixels);
            }
        }
    }
}

size_t step_bytes(const Program& program) { return (program.steps.size() * sizeof(Step) + 255) / 256 * 256; }

}  // namespace

size_t pixel_sampler_workspace(const jl_pixel_sampler* shape, const jl_sampler_node* nodes,
                               int32_t node_count) {
    Program program;
    if (program.read(shape, nodes, node_count, weight_floats) != JL_OK) return 0;
    return kWorkspaceHeader + step_bytes(program) +
           static_cast<size_t>(program.weight_floats + shape->batch * program.image_floats) * sizeof(float);
}

jl_status pixel_sampler(const jl_pixel_sampler* shape, const jl_sampler_node* nodes, int32_t node_count,
                        const int32_t* given, const jl_random* random, int32_t* image, float* parameters,
                        float* margins, jl_workspace workspace, jl_stream stream) {
    Program program;
    if (const jl_status status = program.read(shape, nodes, node_count, weight_floats)) return status;
    if (const jl_status status = check_sampler(shape, nodes, node_count, random, image, workspace))
        return status;
    const jl_pixel_sampler s = *shape;
    if (s.batch == 0) return JL_OK;
    Step* steps = reinterpret_cast<Step*>(workspace_floats(workspace));
    float* weights = reinterpret_cast<float*>(reinterpret_cast<char*>(steps) + step_bytes(program));
    for (size_t i = 0; i < program.steps.size(); ++i) {
        const Step& step = program.steps[i];
        const int64_t count = step.node.kind == JL_NODE_MASKED_CONV ? weight_floats(step) : 1,
                      blocks = (count + kBlock - 1) / kBlock;
        if (const jl_status status =
                launch("pixel_sampler (weights)", static_cast<unsigned>(blocks < 1 ? 1 : blocks), kBlock, 0,
                       stream, pack_kernel, step, steps + i, weights))
            return status;
    }

    const int64_t tiles = (s.batch + kPixels - 1) / kPixels;
    unsigned blocks = largest_cluster(kMostBlocks, kThreads, sample_kernel);
    while (blocks > 1 && tiles * blocks > kMultiprocessors) blocks /= 2;
    int64_t teams = kMultiprocessors / blocks;
    if (teams > s.batch) teams = s.batch;
    const int64_t images = (s.batch + teams - 1) / teams;
    teams = (s.batch + images - 1) / images;
    return launch_clusters(
        "pixel_sampler", blocks, static_cast<unsigned>(teams * blocks), kThreads, 0, stream, sample_kernel,
        Arguments{s, steps, node_count, program.image_floats, images, weights,
                  weights + program.weight_floats, given, random, image, parameters, margins, blocks});
}

}  // namespace jlatent::JL_TABLE

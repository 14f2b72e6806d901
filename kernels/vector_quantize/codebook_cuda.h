// The codebooks as nearest_cuda.h wants them: in fp16, with what is known of each. Two launches for all books.
#pragma once
#include "nearest_cuda.h"

namespace jlatent::JL_TABLE {

// All books, in the workspace.
struct Books {
    const float* codebook;  // [books, codes, dims], as stored
    int64_t count, codes, dims, tiles, padded;
    BookSummary* summary;  // [books]
    double* largest;       // [books, tiles]: norm, scaled
    double* error;         // [books, tiles]: norm of what fp16 lost; infinite where a code is not finite
    uint32_t* bits;        // [books, tiles]: of the largest value
    float* bias;           // [books, tiles 64]
    uint16_t* halves;      // [books, tiles 64, padded]

    __device__ Book book(int64_t b) const {
        const int64_t first = b * tiles * kTileCodes;
        return {codebook + b * codes * dims,
                halves + first * padded,
                bias + first,
                codes,
                dims,
                padded,
                summary[b]};
    }
};

// One after the other from `memory` on, which is 256-byte aligned; *bytes: what they take. (Null measures.)
inline Books books_in(char* memory, const float* codebook, int64_t count, int64_t codes, int64_t dims,
                      size_t* bytes) {
    Books b = {codebook,          count,   codes,   dims,    (codes + kTileCodes - 1) / kTileCodes,
               padded_dims(dims), nullptr, nullptr, nullptr, nullptr,
               nullptr,           nullptr};
    const size_t tiles = static_cast<size_t>(count * b.tiles);
    size_t used = 0;
    const auto take = [&](auto** array, size_t elements) {
        *array = reinterpret_cast<std::remove_reference_t<decltype(*array)>>(memory + used);
        used += (elements * sizeof(**array) + 255) / 256 * 256;
    };
    take(&b.summary, static_cast<size_t>(count));
    take(&b.largest, tiles);
    take(&b.error, tiles);
    take(&b.bits, tiles);
    take(&b.bias, tiles * kTileCodes);
    take(&b.halves, tiles * kTileCodes * static_cast<size_t>(b.padded));
    *bytes = used;
    return b;
}

// A block takes a tile of 64 codes. Sets their histogram to 0.
static __global__ void codebook_bits_kernel(Books books, int32_t* __restrict__ histogram) {
    const int64_t b = blockIdx.x / books.tiles, tile = blockIdx.x % books.tiles;
    const int64_t first = tile * kTileCodes;
    const int64_t count = books.codes - first < kTileCodes ? books.codes - first : kTileCodes;
    const float* e = books.codebook + (b * books.codes + first) * books.dims;
    uint32_t largest = 0;
    for (int64_t i = threadIdx.x * 4; i < count * books.dims; i += kBlock * 4) {
        const Quad x =
            load_quad(e, i, count * books.dims - i < 4 ? static_cast<int>(count * books.dims - i) : 4);
        JL_UNROLL
        for (int k = 0; k < 4; ++k) {
            const uint32_t size = bits_of_float(x.v[k]) & 0x7fffffffu;
            largest = size > largest ? size : largest;
        }
    }
    if (histogram != nullptr && threadIdx.x < count) histogram[b * books.codes + first + threadIdx.x] = 0;
    const double most = block_total<true>(largest);
    if (threadIdx.x == 0) books.bits[blockIdx.x] = static_cast<uint32_t>(most);
}

// A block takes a tile of 64 codes, kRowLanes lanes a code; the last one makes the summaries.
static __global__ void codebook_halves_kernel(Books books, unsigned* counter) {
    const int64_t b = blockIdx.x / books.tiles, tile = blockIdx.x % books.tiles;
    double most = 0.0;
    for (int64_t t = threadIdx.x; t < books.tiles; t += kBlock) {
        const double bits = books.bits[b * books.tiles + t];
        most = bits > most ? bits : most;
    }
    const uint32_t largest = static_cast<uint32_t>(block_total<true>(most));
    const bool finite = largest < kInfiniteBits;
    const int exponent = finite ? scale_exponent(largest) : 0;
    const double scale = ldexp(1.0, exponent);
    double largest_norm = 0.0, largest_error = finite ? 0.0 : INFINITY;
    for (int c = static_cast<int>(threadIdx.x) / kRowLanes; c < kTileCodes; c += kBlock / kRowLanes) {
        const int64_t k = tile * kTileCodes + c;
        const bool live = k < books.codes && finite;
        const float* e = books.codebook + (b * books.codes + k) * books.dims;
        uint32_t* to = reinterpret_cast<uint32_t*>(
            books.halves + (static_cast<int64_t>(blockIdx.x) * kTileCodes + c) * books.padded);
        double square = 0.0, lost = 0.0;
        for (int64_t d = threadIdx.x % kRowLanes * 4; d < books.padded; d += kRowLanes * 4) {
            const int64_t left = live ? books.dims - d : 0;
            const Quad x = load_quad(e, d, left < 4 ? (left < 0 ? 0 : static_cast<int>(left)) : 4);
            float w[4];
            JL_UNROLL
            for (int i = 0; i < 4; ++i) {
                const double wide = static_cast<double>(x.v[i]) * scale;  // exact
                w[i] = static_cast<float>(wide);
                const double less = wide - static_cast<double>(f16_rounded(w[i]));
                square += wide * wide;
                lost += less * less;
            }
            to[d / 2] = f16_pair(w[0], w[1]);
            to[d / 2 + 1] = f16_pair(w[2], w[3]);
        }
        square = lanes_sum(square, kRowLanes);
        lost = lanes_sum(lost, kRowLanes);
        if (threadIdx.x % kRowLanes == 0)
            books.bias[static_cast<int64_t>(blockIdx.x) * kTileCodes + c] =
                k < books.codes ? static_cast<float>(-0.5 * square) : -INFINITY;
        largest_norm = square > largest_norm ? square : largest_norm;
        largest_error = lost > largest_error ? lost : largest_error;
    }
    largest_norm = sqrt(block_total<true>(largest_norm));
    largest_error = sqrt(block_total<true>(largest_error));
    if (threadIdx.x == 0) {
        books.largest[blockIdx.x] = largest_norm;
        books.error[blockIdx.x] = largest_error;
        if (tile == 0) books.summary[b].exponent = exponent;
    }
    if (!last_block(counter)) return;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    for (int64_t book = threadIdx.x / kWarp; book < books.count; book += kWarps) {
        double norm = 0.0, error = 0.0;
        for (int64_t t = book * books.tiles + lane; t < (book + 1) * books.tiles; t += kWarp) {
            const double n = __ldcg(books.largest + t), lost = __ldcg(books.error + t);
            norm = n > norm ? n : norm;
            error = lost > error ? lost : error;
        }
        norm = lanes_largest(norm, kWarp);
        error = lanes_largest(error, kWarp);
        if (lane != 0) continue;
        BookSummary* summary = books.summary + book;
        summary->largest = norm * (1.0 + 1e-9);  // sums were rounded
        summary->error = error * (1.0 + 1e-9);
        summary->finite = error < INFINITY ? 1 : 0;
    }
}

inline jl_status prepare_books(const char* operation, const Books& books, int32_t* histogram,
                               unsigned* counter, jl_stream stream) {
    const unsigned tiles = static_cast<unsigned>(books.count * books.tiles);
    if (const jl_status status =
            launch(operation, tiles, kBlock, 0, stream, codebook_bits_kernel, books, histogram))
        return status;
    return launch(operation, tiles, kBlock, 0, stream, codebook_halves_kernel, books, counter);
}

}  // namespace jlatent::JL_TABLE

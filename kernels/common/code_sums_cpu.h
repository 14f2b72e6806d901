// code_sums.h on the CPU.
#pragma once
#include <type_traits>

#include "code_sums.h"
#include "parallel.h"

namespace jlatent::JL_TABLE {

// At least as many positions as counters, so that the counters take no more memory than the positions.
inline int64_t code_tile(int64_t codes) { return codes < 16384 ? 16384 : codes; }

// The code of position n is codes[n * stride].
inline void code_sort(const int32_t* codes, int64_t stride, const CodeSort& s) {
    const uint32_t outside = static_cast<uint32_t>(s.codes);
    const auto bucket = [=](int64_t n) {
        const uint32_t code = static_cast<uint32_t>(codes[n * stride]);
        return code < outside ? code : outside;
    };
    const int64_t tiles = code_tiles(s.count, s.tile), width = s.codes + 1;
    const auto each = [=](auto body) {
        parallel_for(tiles, s.count, [=](int64_t t) {
            const int64_t end = (t + 1) * s.tile < s.count ? (t + 1) * s.tile : s.count;
            int32_t* counts = s.counts + t * width;
            body(t * s.tile, end, counts);
        });
    };
    each([=](int64_t start, int64_t end, int32_t* counts) {
        memset(counts, 0, static_cast<size_t>(width) * sizeof(int32_t));
        for (int64_t n = start; n < end; ++n) ++counts[bucket(n)];
    });
    int32_t before = 0, extras = 0;
    for (int64_t k = 0; k < width; ++k) {
        s.starts[k] = before;
        s.extras[k] = extras;
        for (int64_t t = 0; t < tiles; ++t) {
            int32_t& count = s.counts[t * width + k];
            const int32_t own = count;
            count = before;
            before += own;
        }
        extras += extra_chunks(before - s.starts[k]);
    }
    s.starts[width] = before;
    each([=](int64_t start, int64_t end, int32_t* counts) {
        for (int64_t n = start; n < end; ++n) s.order[counts[bucket(n)]++] = static_cast<int32_t>(n);
    });
}

// Rows as code_sums takes them: row() gives `width` columns of row n from `start` on, where they lie or in `scratch`;
// ask() says that they will be wanted.
struct PlainRows {
    const float* values;
    int64_t dims;

    const float* row(int64_t n, int64_t start, int64_t, float*) const { return values + n * dims + start; }
    void ask(int64_t n, int64_t start, int64_t width) const {
        for (int64_t d = 0; d < width; d += 16) __builtin_prefetch(values + n * dims + start + d);
    }
};

constexpr int64_t kColumns = 64;  // of a row that are worked on at a time, on the stack

// body(start, width) for kColumns columns at a time, a width the compiler knows, and for what is left.
template <class Body>
void for_columns(int64_t dims, Body body) {
    int64_t start = 0;
    for (; start + kColumns <= dims; start += kColumns)
        body(start, std::integral_constant<int64_t, kColumns>());
    if (start < dims) body(start, dims - start);
}

// out[:] = sum of the rows at order[first] .. order[end - 1], less the origin's each time, in this order.
template <bool kOrigin, class Rows>
void sum_positions(const Rows& rows, const float* origin, const int32_t* order, int64_t first, int64_t end,
                   int64_t dims, float* out) {
    constexpr int64_t kAhead = 8;
    for_columns(dims, [&](int64_t start, auto width) {
        float sum[kColumns] = {}, scratch[kColumns];
        for (int64_t p = first; p < end; ++p) {
            // The rows lie anywhere: ask early.
            rows.ask(order[p + kAhead < end ? p + kAhead : end - 1], start, width);
            const float* row = rows.row(order[p], start, width, scratch);
#pragma omp simd
            for (int64_t d = 0; d < width; ++d) sum[d] += kOrigin ? row[d] - origin[start + d] : row[d];
        }
        memcpy(out + start, sum, static_cast<size_t>(width) * sizeof(float));
    });
}

// Codes and positions share one line of slots, so that tasks are alike however codes are spread: position p of code k
// has slot p + k, and a code without positions one slot all the same. A task takes the chunks that begin in its slots.
template <class Rows>
void code_sums(const Rows& rows, const float* origin, const CodeSort& s, int64_t dims, float* out) {
    constexpr int64_t kSlots = 1024;
    parallel_for(
        (s.count + s.codes + kSlots - 1) / kSlots, (s.count + s.codes) * dims, [=, &rows](int64_t task) {
            const int64_t from = task * kSlots, to = from + kSlots;
            int64_t low = 0, high = s.codes;  // low: the last code that begins at `from` or before
            while (high - low > 1) {
                const int64_t middle = (low + high) / 2;
                (s.starts[middle] + middle <= from ? low : high) = middle;
            }
            for (int64_t k = low; k < s.codes && s.starts[k] + k < to; ++k) {
                const int64_t first = s.starts[k], end = s.starts[k + 1];
                const int64_t before =
                    first + k >= from ? 0 : (from - first - k + kCodeChunk - 1) / kCodeChunk;
                for (int64_t chunk = before;; ++chunk) {
                    const int64_t p = first + chunk * kCodeChunk,
                                  stop = p + kCodeChunk < end ? p + kCodeChunk : end;
                    if ((chunk > 0 && p >= end) || p + k >= to) break;
                    float* sum = chunk == 0 ? out + k * dims : s.partial + (s.extras[k] + chunk - 1) * dims;
                    if (origin == nullptr)
                        sum_positions<false>(rows, nullptr, s.order, p, stop, dims, sum);
                    else
                        sum_positions<true>(rows, origin + k * dims, s.order, p, stop, dims, sum);
                }
            }
        });
    parallel_for(s.codes, s.extras[s.codes] * dims, [=](int64_t k) {
        for (int64_t e = s.extras[k]; e < s.extras[k + 1]; ++e)
#pragma omp simd
            for (int64_t d = 0; d < dims; ++d) out[k * dims + d] += s.partial[e * dims + d];
    });
}

}  // namespace jlatent::JL_TABLE

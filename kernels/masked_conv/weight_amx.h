// The gradient for masked_conv's weight, of bf16 in the tiles of AMX: 32 channels of a tap by a panel of filters, pixels 32 at a
// time. A strip is transposed, [depth, length], so that a tap is a distance in its lines as well. The zeros between rows of
// pixels are such of d_a; what x has beside them may be real, and must be finite.
#pragma once
#include "arithmetic_cpu.h"
#include "weight_cpu.h"

namespace jlatent::JL_TABLE {

#if defined(__AMX_BF16__)

class TileWeightSums : public Splits<TileArithmetic> {
  public:
    explicit TileWeightSums(const jl_masked_conv& s)
        : Splits(s, taps_of(s).count() * TileArithmetic::depth_of(s.channels)),
          length_(round_up(strips.length(), kSide)) {}

    int64_t row_of(int64_t t, int64_t c) const { return t * strips.depth + c; }
    int64_t memory() const { return strip_bytes() + bytes_of<uint16_t>(steps(strips.rows) * kStep * kPanel); }

    // Adds one block's part to sums.
    void add(const Block& b, const float* x, const float* d_a, char* memory, float* sums) const {
        uint16_t *strip = reinterpret_cast<uint16_t*>(memory),
                 *packed = reinterpret_cast<uint16_t*>(memory + strip_bytes());
        transpose(b, x, strip);
        const TileArithmetic::Session session;
        for (int64_t p = 0; p < panels; ++p) {
            float* of = sums + p * rows * kPanel;
            pack(b, d_a, Panel(p, strips.shape.filters, false), packed, of + (rows - 1) * kPanel);
            std::atomic_signal_fence(
                std::memory_order_seq_cst);  // the compiler does not know that tiles read memory
            strips.for_rows([&](int64_t offset, int64_t tap, int64_t taps) {
                for (int64_t t = 0; t < taps; ++t)
                    for (int64_t c = 0; c < strips.depth; c += kStep)
                        multiply(strip + c * length_ + offset / strips.depth + t, packed, steps(b.rows),
                                 of + row_of(tap + t, c) * kPanel);
            });
        }
    }

  private:
    static constexpr int64_t kSide = TileArithmetic::kSide, kStep = TileArithmetic::kStep,
                             kTile = TileArithmetic::kTile;

    int64_t strip_bytes() const { return bytes_of<uint16_t>(strips.depth * length_); }
    // Of 32 pixels, or zeros between them.
    int64_t steps(int64_t rows) const { return (rows * strips.width + kStep - 1) / kStep; }

    // to [32, kPanel] += x [32, pixels] d_a [pixels, kPanel]
    void multiply(const uint16_t* x, const uint16_t* d_a, int64_t steps, float* to) const {
        load_sums(to, kPanel);
        for (int64_t step = 0; step < steps; ++step, x += kStep, d_a += 2 * kTile)
            add_products(x, length_, d_a);
        store_sums(to, kPanel);
    }

    // What a block reads of x, [depth, length].
    void transpose(const Block& b, const float* x, uint16_t* strip) const {
        const int64_t channels = strips.channels;
        memset(strip, 0, static_cast<size_t>(strip_bytes()));
        strips.for_strip(
            b, x,
            [&](int64_t at, const float* from) {
                for (int64_t p = 0; p < strips.shape.width; p += kSide)
                    for (int64_t c = 0; c < channels; c += kSide)
                        transpose_square(from + p * channels + c, channels - c, strips.shape.width - p,
                                         strip + c * length_ + at + p);
            },
            [](int64_t, int64_t) {});
    }
    // Up to 16 channels of up to 16 pixels.
    void transpose_square(const float* from, int64_t channels, int64_t pixels, uint16_t* to) const {
        __m512i square[kSide];
#pragma GCC unroll 16
        for (int64_t p = 0; p < kSide; ++p)
            square[p] = _mm512_castps_si512(
                _mm512_maskz_loadu_ps(lanes(p < pixels ? channels : 0), from + p * strips.channels));
        jlatent::JL_TABLE::transpose(square);
        for (int64_t c = 0; c < kSide && c < channels; ++c)
            _mm256_mask_storeu_epi16(
                to + c * length_, lanes(pixels),
                reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_castsi512_ps(square[c]))));
    }

    // d_a of one panel, [steps, 2 tiles, 16 pairs of pixels, 16 filters, 2], and its sums.
    void pack(const Block& b, const float* d_a, const Panel& panel, uint16_t* to, float* bias) const {
        const jl_masked_conv& s = strips.shape;
        for (int64_t h = 0; h < 2; ++h) {
            __m512 sum = _mm512_loadu_ps(bias + h * kSide);
            const float* from = d_a + b.pixel * s.filters + panel.first[h];
            int64_t x = 0;  // of a row; from s.width on there are zeros
            const auto next = [&] {
                __m256i halves = _mm256_setzero_si256();
                if (x < s.width && from < d_a + (b.pixel + b.rows * s.width) * s.filters) {
                    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes(panel.count[h]), from));
                    halves = load_bf16(from, panel.count[h]);
                    from += s.filters;
                }
                x = x + 1 < strips.width ? x + 1 : 0;
                return _mm512_cvtepu16_epi32(halves);
            };
            for (int64_t pair = 0; pair < steps(b.rows) * kSide; ++pair) {
                const __m512i lower = next(), upper = next();
                _mm512_storeu_si512(to + (pair / kSide * 2 + h) * kTile + pair % kSide * kStep,
                                    _mm512_or_si512(lower, _mm512_slli_epi32(upper, 16)));
            }
            _mm512_storeu_ps(bias + h * kSide, sum);
        }
    }

    int64_t length_;
};

inline TileWeightSums weight_sums(TileArithmetic, const jl_masked_conv& s) { return TileWeightSums(s); }

#endif

}  // namespace jlatent::JL_TABLE

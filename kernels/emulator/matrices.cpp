// Tensor cores and asynchronous copies. Fragments as in the PTX ISA, "Matrix Fragments for mma.m16n8k16" and
// "ldmatrix": g = lane / 4, t = lane % 4.
#include <cmath>

#include "running.h"

namespace jlatent::emulator {

namespace {

struct Given {
    const uint32_t* a;
    const uint32_t* b;
};

double f16(uint32_t half) {
    const int exponent = static_cast<int>(half >> 10 & 31u);
    const double fraction = half & 1023u, sign = (half >> 15 & 1u) != 0 ? -1.0 : 1.0;
    if (exponent == 31) return fraction == 0.0 ? sign * INFINITY : NAN;
    return sign * (exponent == 0 ? fraction * 0x1p-24 : std::ldexp(1024.0 + fraction, exponent - 25));
}

double bf16(uint32_t half) {
    const uint32_t bits = half << 16;
    float f;
    __builtin_memcpy(&f, &bits, sizeof f);
    return f;
}

// Eight columns at once.
using Doubles = double __attribute__((vector_size(64)));
using Longs = int64_t __attribute__((vector_size(64)));
using Ints = int32_t __attribute__((vector_size(32)));

constexpr int64_t kSizeBits = INT64_MAX;  // all but the sign's

// Of each column, c + the sum over k of a[k] b[k], as tensor cores may sum them [Fasi, Higham, Mikaitis, Pranesh 2021]:
// all nine are cut to the 24 bits that the largest can have, added without error, and the sum is cut to 24 bits.
void add_cut(const double* a, const Doubles* b, float* c) {
    Doubles term[9], largest = {}, plain = {};
    for (int n = 0; n < 8; ++n) term[8][n] = c[n];
    for (int k = 0; k < 8; ++k) term[k] = a[k] * b[k];
    for (const Doubles& t : term) {
        const Doubles size = reinterpret_cast<Doubles>(reinterpret_cast<Longs>(t) & kSizeBits);
        largest = size > largest ? size : largest;
        plain += t;
    }
    // By 2^(23 - exponent) of the largest, cut to whole numbers; columns of zeros, or with what is not finite, by 0.
    const Longs exponent = reinterpret_cast<Longs>(largest) >> 52,
                cuts = (plain - plain == 0.0) & (largest > 0.0);
    const Doubles up = reinterpret_cast<Doubles>((2069 - exponent) << 52 & cuts);
    const Doubles down = reinterpret_cast<Doubles>((exponent - 23) << 52);
    Ints sum = {};
    for (const Doubles& t : term)
        sum +=
            __builtin_convertvector(reinterpret_cast<Doubles>(reinterpret_cast<Longs>(t * up) & cuts), Ints);
    for (int n = 0; n < 8; ++n) {
        const int32_t size = sum[n] < 0 ? -sum[n] : sum[n];
        int extra = 0;
        while (size >> extra >= 1 << 24) ++extra;
        const double kept = (size >> extra << extra) * down[n];
        c[n] = static_cast<float>(cuts[n] == 0 ? plain[n] : sum[n] < 0 ? -kept : kept);
    }
}

void multiply_matrices(bool is_bf16, Thread* const* lanes) {
    double a[16][16];
    Doubles b[16];
    float c[16][8];
    for (unsigned lane = 0; lane < kWarp; ++lane) {
        const Given& given = *static_cast<const Given*>(lanes[lane]->given);
        const float* sum = static_cast<const float*>(lanes[lane]->wanted);
        const unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 8; ++i) {
            const uint32_t half = given.a[i / 2] >> i % 2 * 16 & 0xffffu;
            const unsigned row = i / 2 % 2 == 0 ? g : g + 8, column = 2 * t + i % 2 + i / 4 * 8;
            a[row][column] = is_bf16 ? bf16(half) : f16(half);
        }
        for (unsigned i = 0; i < 4; ++i) {
            const uint32_t half = given.b[i / 2] >> i % 2 * 16 & 0xffffu;
            b[2 * t + i % 2 + i / 2 * 8][g] = is_bf16 ? bf16(half) : f16(half);
            c[g + i / 2 * 8][2 * t + i % 2] = sum[i];
        }
    }
    for (unsigned row = 0; row < 16; ++row)
        for (unsigned first = 0; first < 16; first += 8) add_cut(a[row] + first, b + first, c[row]);
    for (unsigned lane = 0; lane < kWarp; ++lane)
        for (unsigned i = 0; i < 4; ++i)
            static_cast<float*>(lanes[lane]->wanted)[i] = c[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
}

// Lane l gets elements 2t and 2t + 1 of row g of each matrix; of column g when transposed.
void spread_rows(bool transposed, Thread* const* lanes) {
    for (unsigned lane = 0; lane < kWarp; ++lane) {
        uint32_t* out = static_cast<uint32_t*>(lanes[lane]->wanted);
        for (unsigned matrix = 0; matrix < 4; ++matrix) {
            uint32_t halves[2];
            for (unsigned i = 0; i < 2; ++i) {
                const unsigned row = transposed ? lane % 4 * 2 + i : lane / 4;
                const unsigned column = transposed ? lane / 4 : lane % 4 * 2 + i;
                halves[i] = static_cast<const uint16_t*>(lanes[matrix * 8 + row]->given)[column];
            }
            out[matrix] = halves[0] | halves[1] << 16;
        }
    }
}

}  // namespace

void resolve_matrix(Operation operation, Thread* const* lanes) {
    if (operation == Operation::kMultiply || operation == Operation::kMultiplyBf16)
        multiply_matrices(operation == Operation::kMultiplyBf16, lanes);
    else
        spread_rows(operation == Operation::kColumns, lanes);
}

// ---- what kernels call; see emulator.h ----

void multiply(Factors type, float (&sum)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
              const char* where) {
    const Given given = {a, b};
    Launch::running->wait_matrix(type == Factors::kBf16 ? Operation::kMultiplyBf16 : Operation::kMultiply,
                                 &given, sum, where);
}

void exchange_rows(uint32_t (&out)[4], const uint16_t (&row)[8], bool transposed, const char* where) {
    Launch::running->wait_matrix(transposed ? Operation::kColumns : Operation::kRows, row, out, where);
}

void misaligned(size_t bytes, const char* where) {
    Launch::running->fail(std::string(where) + ": an address is not a multiple of " + std::to_string(bytes));
}

void copy_later(const Arrival& copy) {
    const Unseen unseen;
    current.thread->copies.push_back(copy);
    ++current.thread->ungrouped;
}

void end_copy_group() {
    const Unseen unseen;
    current.thread->groups.push_back(current.thread->ungrouped);
    current.thread->ungrouped = 0;
}

bool next_arrival(unsigned groups_left, Arrival* copy) {
    const Unseen unseen;
    Thread& me = *current.thread;
    while (me.groups.size() > groups_left && me.groups.front() == 0) me.groups.erase(me.groups.begin());
    if (me.groups.size() <= groups_left) return false;
    --me.groups.front();
    *copy = me.copies.front();
    me.copies.erase(me.copies.begin());
    return true;
}

}  // namespace jlatent::emulator

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

float of_bits(uint32_t bits) {
    float f;
    __builtin_memcpy(&f, &bits, sizeof f);
    return f;
}

float f16(uint32_t half) {
    const int exponent = static_cast<int>(half >> 10 & 31u);
    const float fraction = static_cast<float>(half & 1023u), sign = (half >> 15 & 1u) != 0 ? -1.0f : 1.0f;
    if (exponent == 31) return fraction == 0.0f ? sign * INFINITY : NAN;
    return sign * (exponent == 0 ? fraction * 0x1p-24f : std::ldexp(1024.0f + fraction, exponent - 25));
}

float bf16(uint32_t half) { return of_bits(half << 16); }

// c + the eight products, as tensor cores may sum them [Fasi, Higham, Mikaitis, Pranesh 2021]: all are cut to the 24
// bits that the largest can have, added without error, and the sum is cut to 24 bits.
float cut_sum(float c, const double* product) {
    double largest = std::fabs(c), plain = c;
    for (int k = 0; k < 8; ++k) {
        largest = std::fmax(largest, std::fabs(product[k]));
        plain += product[k];
    }
    if (largest == 0.0 || !std::isfinite(plain)) return static_cast<float>(plain);
    const int last = std::ilogb(largest) - 23;  // exponent of the last bit that is kept
    const double up = std::ldexp(1.0, -last);
    int64_t sum = static_cast<int64_t>(c * up);  // towards zero
    for (int k = 0; k < 8; ++k) sum += static_cast<int64_t>(product[k] * up);
    const uint64_t size = static_cast<uint64_t>(sum < 0 ? -sum : sum);
    int extra = 0;
    while (size >> extra >= uint64_t{1} << 24) ++extra;
    const double kept = std::ldexp(static_cast<double>(size >> extra), extra + last);
    return static_cast<float>(sum < 0 ? -kept : kept);
}

// Four columns at once.
using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));

// The same for the products of a[k] and b[k], of which f32 has all bits that count where the largest is of a usual size.
void add_cut(const float* a, const Floats* b, float* c) {
    Floats term[9], largest = {}, plain = {};
    for (int n = 0; n < 4; ++n) term[8][n] = c[n];
    for (int k = 0; k < 8; ++k) term[k] = a[k] * b[k];
    for (const Floats& t : term) {
        const Floats size = (Floats)((Ints)t & INT32_MAX);
        largest = size > largest ? size : largest;
        plain += t;
    }
    const Ints usual = (largest > 0x1p-80f) & (largest < 0x1p100f) & (plain == plain);
    const Ints exponent = (Ints)largest >> 23;  // and 127
    const Floats up = (Floats)((127 + 127 + 23 - exponent) << 23 & usual),
                 down = (Floats)((exponent - 23) << 23);
    Ints sum = {};
    for (const Floats& t : term) sum += __builtin_convertvector((Floats)((Ints)(t * up) & usual), Ints);
    const Ints sign = sum >> 31, size = (sum ^ sign) - sign, over = size >> 24;
    const Ints kept = size & ~(over | over >> 1 | over >> 2 | over >> 3);  // below 2^28: nine of 24 bits
    const Floats result = __builtin_convertvector((kept ^ sign) - sign, Floats) * down;
    for (int n = 0; n < 4; ++n) {
        if (usual[n] != 0) {
            c[n] = result[n];
        } else if (largest[n] > 0.0f && (plain[n] == plain[n] || largest[n] > 1.0f)) {
            double product[8];
            for (int k = 0; k < 8; ++k) product[k] = static_cast<double>(a[k]) * static_cast<double>(b[k][n]);
            c[n] = cut_sum(c[n], product);
        } else {
            c[n] = plain[n];
        }
    }
}

void multiply_matrices(bool is_bf16, Thread* const* lanes) {
    float a[16][16];
    Floats b[2][16];
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
            b[g / 4][2 * t + i % 2 + i / 2 * 8][g % 4] = is_bf16 ? bf16(half) : f16(half);
            c[g + i / 2 * 8][2 * t + i % 2] = sum[i];
        }
    }
    for (unsigned row = 0; row < 16; ++row)
        for (unsigned i = 0; i < 4; ++i) {
            const unsigned first = i / 2 * 8, four = i % 2;
            add_cut(a[row] + first, b[four] + first, c[row] + four * 4);
        }
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

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

void multiply_matrices(bool is_bf16, Thread* const* lanes) {
    double a[16][16], b[8][16];  // b by column
    for (unsigned lane = 0; lane < kWarp; ++lane) {
        const Given& given = *static_cast<const Given*>(lanes[lane]->given);
        const unsigned g = lane / 4, t = lane % 4;
        for (unsigned i = 0; i < 8; ++i) {
            const uint32_t half = given.a[i / 2] >> i % 2 * 16 & 0xffffu;
            const unsigned row = i / 2 % 2 == 0 ? g : g + 8, column = 2 * t + i % 2 + i / 4 * 8;
            a[row][column] = is_bf16 ? bf16(half) : f16(half);
        }
        for (unsigned i = 0; i < 4; ++i) {
            const uint32_t half = given.b[i / 2] >> i % 2 * 16 & 0xffffu;
            b[g][2 * t + i % 2 + i / 2 * 8] = is_bf16 ? bf16(half) : f16(half);
        }
    }
    for (unsigned lane = 0; lane < kWarp; ++lane) {
        float* sum = static_cast<float*>(lanes[lane]->wanted);
        for (unsigned i = 0; i < 4; ++i) {
            const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
            for (unsigned first = 0; first < 16; first += 8) {
                double product[8];
                for (unsigned k = 0; k < 8; ++k) product[k] = a[row][first + k] * b[column][first + k];
                sum[i] = cut_sum(sum[i], product);
            }
        }
    }
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

void misaligned(const char* where) {
    Launch::running->fail(std::string(where) + ": an address is not a multiple of 16");
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

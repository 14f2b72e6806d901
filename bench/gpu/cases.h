// What is timed: an operation at a shape, its arrays and its launch, and how its results are held against the CPU's.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "jlatent.h"

namespace bench {

// A table of launchers and the memory that it works on.
struct Table {
    const jl_kernels* kernels;
    bool on_host;

    jl_stream stream() const;
    void* allocate(size_t bytes) const;
    void release(void* p) const;
    void copy_in(void* to, const void* host, size_t bytes) const;
    void copy_out(void* host, const void* from, size_t bytes) const;
};

// Throws what the table says about a status that is not JL_OK.
void require(const jl_kernels& kernels, jl_status status);

// The arrays of one set: random inputs, poisoned outputs. A twin, another table's, reads the same inputs.
class Arrays {
  public:
    Arrays(const Table& table, uint64_t seed, const Arrays* twin = nullptr);
    Arrays(const Arrays&) = delete;
    Arrays& operator=(const Arrays&) = delete;
    ~Arrays();

    const jl_kernels& kernels() const { return *table_.kernels; }
    jl_stream stream() const { return table_.stream(); }

    float* normals(size_t count);  // N(0, 1), made by the device
    float* uniform(size_t count, float low, float high);
    int32_t* integers(size_t count, int32_t below);
    // An input that `fill` makes from others; not called in a twin.
    float* input(size_t count, const std::function<void(float*)>& fill);
    template <class T>
    T* given(const std::vector<T>& values) {
        T* array = static_cast<T*>(allocate(values.size() * sizeof(T)));
        table_.copy_in(array, values.data(), values.size() * sizeof(T));
        return array;
    }
    float* output(const char* name, size_t count);
    int32_t* codes(const char* name, size_t count);              // i32, which must be the same
    void compare(const char* name, float* array, size_t count);  // an input that is also an output
    float* scratch(size_t count) { return static_cast<float*>(allocate(count * sizeof(float))); }
    jl_workspace workspace(size_t bytes);

    size_t input_bytes() const;

    // Launched once on both: the largest of ||a - b|| / ||b|| over all outputs; infinite where codes differ or a value
    // is not finite. `worst` says which output that is.
    double error_against(const Arrays& expected, std::string* worst) const;

  private:
    struct Array {
        std::string name;
        void* data;
        size_t count;
        bool whole;  // numbers
    };
    void* allocate(size_t bytes);
    void* input_bits(size_t count);
    std::vector<uint32_t> read(const Array& array) const;

    const Table table_;
    const uint64_t seed_;
    const Arrays* const twin_;
    std::vector<void*> owned_;
    std::vector<Array> inputs_, outputs_;
};

struct Case {
    std::string name;
    double bytes;    // that it reads and writes at least; 0: not what limits it
    double flops;    // 0: likewise
    double allowed;  // error
    std::function<std::function<jl_status()>(Arrays&)> make;  // arrays, and what launches it on them
};

// Sizes as in the tables of results, or just large enough to see that everything works.
struct Sizes {
    bool small;
    int64_t operator()(int64_t full, int64_t reduced) const { return small ? reduced : full; }
};

std::vector<Case> vector_quantize_cases(Sizes size);
std::vector<Case> other_cases(Sizes size);

}  // namespace bench

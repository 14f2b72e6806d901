#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <stdexcept>

#include "cases.h"
#include "device.h"

namespace bench {

jl_stream Table::stream() const { return on_host ? nullptr : device_stream(); }

void* Table::allocate(size_t bytes) const {
    if (!on_host) return device_allocate(bytes);
    constexpr size_t kAlignment = 256;
    void* p = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}

void Table::release(void* p) const {
    if (on_host)
        std::free(p);
    else
        device_free(p);
}

void Table::copy_in(void* to, const void* host, size_t bytes) const {
    if (on_host)
        std::memcpy(to, host, bytes);
    else
        device_copy_in(to, host, bytes);
}

void Table::copy_out(void* host, const void* from, size_t bytes) const {
    if (on_host)
        std::memcpy(host, from, bytes);
    else
        device_copy_out(host, from, bytes);
}

void require(const jl_kernels& kernels, jl_status status) {
    if (status != JL_OK) throw std::runtime_error(kernels.last_error());
}

Arrays::Arrays(const Table& table, uint64_t seed, const Arrays* twin)
    : table_(table), seed_(seed), twin_(twin) {}

Arrays::~Arrays() {
    for (void* p : owned_) table_.release(p);
}

void* Arrays::allocate(size_t bytes) {
    void* p = table_.allocate(bytes);
    owned_.push_back(p);
    return p;
}

std::vector<uint32_t> Arrays::read(const Array& array) const {
    std::vector<uint32_t> words(array.count);
    table_.copy_out(words.data(), array.data, array.count * sizeof(uint32_t));
    return words;
}

// Memory for the next input; in a twin with the values of the other's.
void* Arrays::input_bits(size_t count) {
    void* p = allocate(count * sizeof(uint32_t));
    if (twin_ != nullptr) {
        const Array& same = twin_->inputs_.at(inputs_.size());
        if (same.count != count) throw std::logic_error("the twin's input has another size");
        const std::vector<uint32_t> words = twin_->read(same);
        table_.copy_in(p, words.data(), count * sizeof(uint32_t));
    }
    inputs_.push_back({"", p, count, false});
    return p;
}

float* Arrays::input(size_t count, const std::function<void(float*)>& fill) {
    float* array = static_cast<float*>(input_bits(count));
    if (twin_ == nullptr) fill(array);
    return array;
}

float* Arrays::normals(size_t count) {
    const uint32_t site = static_cast<uint32_t>(inputs_.size());
    return input(count, [&](float* array) {
        const jl_random* state = given(std::vector<jl_random>{{seed_, 0, 0}});
        require(kernels(),
                kernels().random_normal(array, static_cast<int64_t>(count), state, site, stream()));
    });
}

float* Arrays::uniform(size_t count, float low, float high) {
    return input(count, [&](float* array) {
        std::minstd_rand engine(static_cast<uint32_t>(seed_ + 97 * inputs_.size()));
        std::vector<float> values(count);
        const float step = (high - low) / static_cast<float>(std::minstd_rand::max());
        for (float& v : values) v = low + step * static_cast<float>(engine());
        table_.copy_in(array, values.data(), count * sizeof(float));
    });
}

int32_t* Arrays::integers(size_t count, int32_t below) {
    int32_t* array = static_cast<int32_t*>(input_bits(count));
    if (twin_ == nullptr) {
        std::mt19937 engine(static_cast<uint32_t>(seed_ + 97 * inputs_.size()));
        std::uniform_int_distribution<int32_t> uniform(0, below - 1);
        std::vector<int32_t> values(count);
        for (int32_t& v : values) v = uniform(engine);
        table_.copy_in(array, values.data(), count * sizeof(int32_t));
    }
    return array;
}

float* Arrays::output(const char* name, size_t count) {
    float* array = scratch(count);
    const std::vector<float> poison(count, std::numeric_limits<float>::quiet_NaN());
    table_.copy_in(array, poison.data(), count * sizeof(float));
    compare(name, array, count);
    return array;
}

int32_t* Arrays::codes(const char* name, size_t count) {
    int32_t* array = given(std::vector<int32_t>(count, std::numeric_limits<int32_t>::min()));
    outputs_.push_back({name, array, count, true});
    return array;
}

void Arrays::compare(const char* name, float* array, size_t count) {
    outputs_.push_back({name, array, count, false});
}

jl_workspace Arrays::workspace(size_t bytes) { return {given(std::vector<unsigned char>(bytes, 0)), bytes}; }

size_t Arrays::input_bytes() const {
    size_t bytes = 0;
    for (const Array& array : inputs_) bytes += array.count * sizeof(uint32_t);
    return bytes;
}

double Arrays::error_against(const Arrays& expected, std::string* worst) const {
    double largest = -1.0;
    for (size_t i = 0; i < outputs_.size(); ++i) {
        const std::vector<uint32_t> got = read(outputs_[i]), want = expected.read(expected.outputs_.at(i));
        double error = 0.0;
        if (outputs_[i].whole) {
            if (got != want) error = std::numeric_limits<double>::infinity();
        } else {
            double difference = 0.0, norm = 0.0;
            for (size_t k = 0; k < got.size(); ++k) {
                float a = 0.0f, b = 0.0f;
                std::memcpy(&a, &got[k], sizeof a);
                std::memcpy(&b, &want[k], sizeof b);
                difference += (static_cast<double>(a) - b) * (static_cast<double>(a) - b);
                norm += static_cast<double>(b) * b;
            }
            error = difference == 0.0 ? 0.0 : std::sqrt(difference / norm);
            if (!std::isfinite(error)) error = std::numeric_limits<double>::infinity();
        }
        if (error > largest) largest = error, *worst = outputs_[i].name;
    }
    return largest;
}

}  // namespace bench

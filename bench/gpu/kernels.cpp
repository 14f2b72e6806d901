// Times every operation of a table of kernels, after its results were held against the CPU table's:
//     kernels LIBRARY CPU_LIBRARY FILE [small]
// FILE gets a line of JSON a case as soon as it is measured. `small` is for trying it without a GPU. Exits 1 when a result
// was wrong; a wrong operation is not timed.
#include <dlfcn.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "cases.h"
#include "device.h"

namespace bench {
namespace {

constexpr int kRepeats = 50;         // at least
constexpr double kTimedFor = 200e3;  // us of a case, as far as repeats go
constexpr int kMostRepeats = 1000;
constexpr double kGraphBelow = 50.0;  // us: there launching from the host may cost more than running
constexpr int kGraphLaunches = 20;    // at least
constexpr size_t kCaches = 4;         // inputs of all sets together, in sizes of the cache
constexpr int kMostSets = 128;

const jl_kernels* open(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) throw std::runtime_error(dlerror());
    const auto open = reinterpret_cast<const jl_kernels* (*)()>(dlsym(library, "jl_open_kernels"));
    const auto error = reinterpret_cast<const char* (*)()>(dlsym(library, "jl_open_error"));
    if (open == nullptr || error == nullptr)
        throw std::runtime_error(std::string(path) + " exports no jl_open_kernels");
    const jl_kernels* kernels = open();
    if (kernels == nullptr) throw std::runtime_error(std::string(path) + ": " + error());
    if (kernels->abi_version != JL_ABI_VERSION || kernels->struct_size < sizeof(jl_kernels))
        throw std::runtime_error(std::string(path) + " has another version of the table");
    return kernels;
}

struct Spread {
    double median, p10, p90;
    explicit Spread(std::vector<double> v) {
        std::sort(v.begin(), v.end());
        median = v[v.size() / 2], p10 = v[v.size() / 10], p90 = v[v.size() - 1 - v.size() / 10];
    }
};

// One set of a case: its arrays and what launches it.
struct Set {
    std::unique_ptr<Arrays> arrays;
    std::function<jl_status()> launch;

    Set(const Case& c, const Table& table, uint64_t seed, const Arrays* twin = nullptr)
        : arrays(std::make_unique<Arrays>(table, seed, twin)), launch(c.make(*arrays)) {}
    void run() const { require(arrays->kernels(), launch()); }
};

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out + "\"";
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

std::string spread(const char* prefix, const Spread& s) {
    return std::string(", \"") + prefix + "us\": " + number(s.median) + ", \"" + prefix +
           "p10\": " + number(s.p10) + ", \"" + prefix + "p90\": " + number(s.p90);
}

// What is known of a case, without the brackets.
std::string measure(const Case& c, const Table& device, const Table& cpu, bool small) {
    std::vector<Set> sets;
    sets.emplace_back(c, device, 1);
    std::string worst;
    double error = 0.0;
    {
        const Set expected(c, cpu, 1, sets[0].arrays.get());
        sets[0].run();
        expected.run();
        error = sets[0].arrays->error_against(*expected.arrays, &worst);
    }
    if (!(error <= c.allowed))
        return ", \"failed\": " + quoted("wrong: " + worst + " is off by " + number(error) + ", " +
                                         number(c.allowed) + " is allowed");

    const size_t bytes = std::max<size_t>(1, sets[0].arrays->input_bytes());
    const size_t wanted = 1 + kCaches * device_cache_bytes() / bytes;
    while (sets.size() < std::min<size_t>(std::max<size_t>(wanted, 2), kMostSets))
        sets.emplace_back(c, device, sets.size() + 1);
    const auto launch = [&](int i) { sets[static_cast<size_t>(i) % sets.size()].run(); };

    const int warm_ups = small ? 1 : std::max(10, static_cast<int>(sets.size()));
    const double roughly = Spread(time_launches(warm_ups, small ? 1 : 10, launch)).median;
    const int repeats = small ? 2 : std::clamp(static_cast<int>(kTimedFor / roughly), kRepeats, kMostRepeats);
    const Spread launched(time_launches(warm_ups, repeats, launch));
    std::string text = spread("", launched) + ", \"repeats\": " + std::to_string(repeats);
    if (launched.median < kGraphBelow) {
        const int launches = std::max(kGraphLaunches, static_cast<int>(sets.size()));
        const std::vector<double> replayed = time_graph(launches, kRepeats, launch);
        if (!replayed.empty())
            text += spread("graph_", Spread(replayed)) + ", \"graph_launches\": " + std::to_string(launches);
    }
    return text + ", \"sets\": " + std::to_string(sets.size()) + ", \"bytes\": " + number(c.bytes) +
           ", \"flops\": " + number(c.flops) + ", \"error\": " + number(error);
}

int run(const char* library, const char* cpu_library, const char* path, bool small) {
    const Table device = {open(library), false}, cpu = {open(cpu_library), true};
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) throw std::runtime_error(std::string(path) + ": " + std::strerror(errno));
    std::vector<Case> cases = vector_quantize_cases({small});
    for (Case& c : other_cases({small})) cases.push_back(std::move(c));
    int failed = 0;
    for (const Case& c : cases) {
        std::string text;
        try {
            text = measure(c, device, cpu, small);
        } catch (const std::exception& e) {
            text = ", \"failed\": " + quoted(e.what());
        }
        failed += text.find("\"failed\"") != std::string::npos ? 1 : 0;
        std::fprintf(file, "{\"name\": %s, \"table\": %s%s}\n", quoted(c.name).c_str(),
                     quoted(device.kernels->name).c_str(), text.c_str());
        std::fflush(file);
        std::printf("%s%s\n", c.name.c_str(), text.c_str());
        std::fflush(stdout);
    }
    std::printf("%zu cases, %d failed\n", cases.size(), failed);
    return std::fclose(file) == 0 && failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
    const bool small = argc == 5 && std::strcmp(argv[4], "small") == 0;
    if (argc != 4 && !small) {
        std::fprintf(stderr, "usage: kernels LIBRARY CPU_LIBRARY FILE [small]\n");
        return 2;
    }
    try {
        return bench::run(argv[1], argv[2], argv[3], small);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "kernels: %s\n", e.what());
        return 1;
    }
}

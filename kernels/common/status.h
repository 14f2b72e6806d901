// Errors are values: a launcher returns a status, and last_error() keeps its text for the calling thread.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <new>
#include <stdexcept>

#include "jlatent.h"

namespace jlatent {

const char* last_error();
jl_status fail(jl_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// The most elements that an array may have: 1 TB of floats. Up to here no index overflows, and a thread for each
// is within CUDA's 2^31 blocks.
constexpr int64_t kMostElements = int64_t{1} << 38;

// Whether an array of these extents, none negative, has no more. An extent of 0 counts as 1, for what is computed
// from the others.
bool fits(std::initializer_list<int64_t> extents);

// The table's entries: no exception crosses the ABI.
template <auto launcher>
struct Entry;

template <class... Args, jl_status (*launcher)(Args...)>
struct Entry<launcher> {
    static jl_status call(Args... args) noexcept {
        try {
            return launcher(args...);
        } catch (const std::bad_alloc&) {
            return fail(JL_OUT_OF_MEMORY, "out of host memory");
        } catch (const std::invalid_argument& e) {
            return fail(JL_BAD_ARGUMENT, "%s", e.what());
        } catch (const std::exception& e) {
            return fail(JL_INTERNAL_ERROR, "%s", e.what());
        } catch (...) {
            return fail(JL_INTERNAL_ERROR, "unknown C++ exception");
        }
    }
};

}  // namespace jlatent

// In a launcher: returns JL_BAD_ARGUMENT with a text that names what was given.
#define JL_REQUIRE(condition, ...)                                              \
    do {                                                                        \
        if (!(condition)) return ::jlatent::fail(JL_BAD_ARGUMENT, __VA_ARGS__); \
    } while (0)

#include "fiber.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#ifdef JL_EMULATOR_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef JL_EMULATOR_TSAN
extern "C" {
void* __tsan_get_current_fiber();
void* __tsan_create_fiber(unsigned);
void __tsan_destroy_fiber(void*);
void __tsan_switch_to_fiber(void*, unsigned);
}
#endif

// Saves the callee's registers on the old stack, its pointer in *save, and continues where `to` was left.
extern "C" void jl_switch_stack(void** save, void* to);
asm(R"(
.text
.type jl_switch_stack,@function
jl_switch_stack:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size jl_switch_stack,.-jl_switch_stack
)");

namespace jlatent::emulator {

namespace {
constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kPage = 4096;
}  // namespace

// With an unmapped page below it, and what TSan knows of it.
struct Stack {
    char* base;
    void* tsan = nullptr;

    Stack() {
        char* all = static_cast<char*>(
            mmap(nullptr, kPage + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (all == MAP_FAILED) throw std::bad_alloc();
        mprotect(all, kPage, PROT_NONE);
        base = all + kPage;
#ifdef JL_EMULATOR_TSAN
        tsan = __tsan_create_fiber(0);
#endif
    }
    ~Stack() {
#ifdef JL_EMULATOR_TSAN
        __tsan_destroy_fiber(tsan);
#endif
        munmap(base - kPage, kPage + kStackBytes);
    }
    Stack(const Stack&) = delete;
};

namespace {

std::vector<std::unique_ptr<Stack>> free_stacks;  // kept from launch to launch

Stack* take_stack() {
    if (free_stacks.empty()) return new Stack;
    Stack* stack = free_stacks.back().release();
    free_stacks.pop_back();
    return stack;
}

}  // namespace

Fibers::Fibers() {
#ifdef JL_EMULATOR_TSAN
    tsan_ = __tsan_get_current_fiber();
#endif
}

void Fibers::enter(Fiber& fiber, void (*first)()) {
    if (fiber.stack == nullptr) {
        fiber.stack = take_stack();
        // What jl_switch_stack pops: six registers, then the address it returns to; aligned as at a call.
        void** top = reinterpret_cast<void**>(fiber.stack->base + kStackBytes);
        *--top = nullptr;
        *--top = reinterpret_cast<void*>(first);
        top -= 6;
        memset(top, 0, 6 * sizeof(void*));
        fiber.stack_pointer = top;
        fiber.fake_stack = nullptr;
    }
#ifdef JL_EMULATOR_ASAN
    __sanitizer_start_switch_fiber(&fake_stack_, fiber.stack->base, kStackBytes);
#endif
#ifdef JL_EMULATOR_TSAN
    __tsan_switch_to_fiber(fiber.stack->tsan, 1);
#endif
    jl_switch_stack(&stack_pointer_, fiber.stack_pointer);
#ifdef JL_EMULATOR_ASAN
    __sanitizer_finish_switch_fiber(fake_stack_, nullptr, nullptr);
#endif
    if (ended_) {
        ended_ = false;
        drop(fiber);
    }
}

void Fibers::begin() {
#ifdef JL_EMULATOR_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &stack_, &stack_bytes_);
#endif
}

void Fibers::leave(Fiber& fiber) {
#ifdef JL_EMULATOR_ASAN
    __sanitizer_start_switch_fiber(ended_ ? nullptr : &fiber.fake_stack, stack_, stack_bytes_);
#endif
#ifdef JL_EMULATOR_TSAN
    __tsan_switch_to_fiber(tsan_, 1);
#endif
    jl_switch_stack(&fiber.stack_pointer, stack_pointer_);
#ifdef JL_EMULATOR_ASAN
    __sanitizer_finish_switch_fiber(fiber.fake_stack, nullptr, nullptr);
#endif
}

void Fibers::end(Fiber& fiber) {
    ended_ = true;
    leave(fiber);
    abort();  // it has no stack to come back to
}

void Fibers::drop(Fiber& fiber) {
#ifdef JL_EMULATOR_ASAN
    __asan_unpoison_memory_region(fiber.stack->base, kStackBytes);
#endif
    free_stacks.emplace_back(fiber.stack);
    fiber.stack = nullptr;
}

}  // namespace jlatent::emulator

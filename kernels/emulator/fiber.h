// What a CUDA thread runs on: a stack of its own, and the switches to it and back. JL_EMULATOR_ASAN and
// JL_EMULATOR_TSAN make the switches, and what orders them, known to the sanitizer of the kernels.
#pragma once
#include <cstddef>

#ifdef JL_EMULATOR_TSAN
extern "C" {
void __tsan_acquire(void*);
void __tsan_release(void*);
void AnnotateIgnoreReadsBegin(const char*, int);
void AnnotateIgnoreReadsEnd(const char*, int);
void AnnotateIgnoreWritesBegin(const char*, int);
void AnnotateIgnoreWritesEnd(const char*, int);
}
#endif

namespace jlatent::emulator {

struct Stack;

struct Fiber {
    Stack* stack = nullptr;  // from its first frame until it has ended
    void* stack_pointer = nullptr;
    void* fake_stack = nullptr;  // ASan's
};

// The fibers of one launch, and the thread that launched.
class Fibers {
  public:
    Fibers();  // on the thread that will enter them

    // Runs it, from `first` if it has not begun, until it leaves or ends. Its stack is then null if it ended.
    void enter(Fiber& fiber, void (*first)());

    // From inside: the first thing that `first` calls; back to whoever entered, and on when entered again;
    // and back for good.
    void begin();
    void leave(Fiber& fiber);
    [[noreturn]] void end(Fiber& fiber);

    // Of one that has begun and will not be entered again.
    static void drop(Fiber& fiber);

  private:
    void* stack_pointer_ = nullptr;
    const void* stack_ = nullptr;
    size_t stack_bytes_ = 0;
    void* fake_stack_ = nullptr;
    void* tsan_ = nullptr;
    bool ended_ = false;
};

// A place where orderings meet, for TSan: whoever has released before is seen by whoever acquires after.
struct Ordering {
    char token = 0;
    void release() {
#ifdef JL_EMULATOR_TSAN
        __tsan_release(&token);
#endif
    }
    void acquire() {
#ifdef JL_EMULATOR_TSAN
        __tsan_acquire(&token);
#endif
    }
};

// While it lives, what the runtime does in a thread's name (allocate, fill) is no access of that thread's,
// for TSan. A thread must not end its launch meanwhile: its stack would stay unseen.
struct Unseen {
#ifdef JL_EMULATOR_TSAN
    Unseen() {
        AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
        AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
    }
    ~Unseen() {
        AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
        AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
    }
#else
    Unseen() {}
#endif
};

}  // namespace jlatent::emulator

#include "team.h"

#include <omp.h>
#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace jlatent {
namespace {

// A main thread and a few workers: most programs never need the executor, which costs a thread switch each way.
constexpr int kMostOwners = 4;

// The thread that runs the regions of all threads but the owners, in the order they come.
class Executor {
  public:
    void run(void (*region)(void*), void* context) {
        Job job;
        job.region = region;
        job.context = context;
        job.threads = omp_get_max_threads();
        std::unique_lock<std::mutex> lock(mutex_);
        if (!started_) {
            std::thread([this] { serve(); }).detach();
            started_ = true;
        }
        *tail_ = &job;
        tail_ = &job.next;
        arrived_.notify_one();
        while (!job.finished) job.done.wait(lock);
        lock.unlock();
        if (job.error) std::rethrow_exception(job.error);
    }

  private:
    // Lives on the stack of the thread that waits for it.
    struct Job {
        void (*region)(void*);
        void* context;
        int threads;
        Job* next = nullptr;
        bool finished = false;
        std::exception_ptr error;
        std::condition_variable done;
    };

    void serve();

    std::mutex mutex_;
    std::condition_variable arrived_;
    Job* first_ = nullptr;
    Job** tail_ = &first_;
    bool started_ = false;
};

std::atomic<int> owners{0};         // threads that run their regions themselves
Executor* executor = new Executor;  // never deleted: its thread lives until the process ends

// Given up when the thread ends: libgomp ends its pool then as well.
struct Ownership {
    bool mine = false;
    ~Ownership() {
        if (mine) --owners;
    }
};
thread_local Ownership ownership;
thread_local bool serving = false;  // this thread is an executor's

void Executor::serve() {
    serving = true;
    pthread_setname_np(pthread_self(), "jlatent-team");
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        while (first_ == nullptr) arrived_.wait(lock);
        Job& job = *first_;
        first_ = job.next;
        if (first_ == nullptr) tail_ = &first_;
        lock.unlock();
        omp_set_num_threads(job.threads);
        try {
            job.region(job.context);
        } catch (...) {
            job.error = std::current_exception();
        }
        lock.lock();
        job.finished = true;
        job.done.notify_one();  // under the lock: the job is gone as soon as its thread sees it finished
    }
}

// A forked child has neither the executor's thread nor those of the pools: a new executor takes all regions.
void after_fork() {
    ownership.mine = false;
    owners = kMostOwners;
    executor = new Executor;
}

bool owns_a_pool() {
    if (ownership.mine) return true;
    static const int registered = pthread_atfork(nullptr, nullptr, after_fork);  // before there is a pool
    (void)registered;
    int others = owners;
    while (others < kMostOwners)
        if (owners.compare_exchange_weak(others, others + 1)) return ownership.mine = true;
    return false;
}

}  // namespace

void run_in_team(void (*region)(void*), void* context) {
    // One thread needs no pool, and within a region there is one already.
    if (serving || omp_in_parallel() || omp_get_max_threads() == 1 || owns_a_pool())
        region(context);
    else
        executor->run(region, context);
}

}  // namespace jlatent

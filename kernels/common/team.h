// Where parallel regions run. libgomp keeps a pool of threads for every thread that ever opened a region, so
// a program with 64 threads would pay for 64 pools. Here there are five at most: four threads, the first to
// come, run their regions themselves; the regions of all others go, one after the other, to one thread for
// them all. The place is free again when a thread ends.
#pragma once

namespace jlatent {

// Runs region(context), which may open parallel regions, with the calling thread's omp_get_max_threads().
// Returns when it is done; what it throws is thrown here. Thread-local variables inside are those of the
// thread it runs on. A region opened within a region runs where it stands.
void run_in_team(void (*region)(void*), void* context);

template <class Region>
void in_team(Region region) {
    run_in_team([](void* context) { (*static_cast<Region*>(context))(); }, &region);
}

}  // namespace jlatent

#include "team.h"

#include <gtest/gtest.h>
#include <omp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using jlatent::in_team;

template <class Body>
void in_thread(Body body) {
    std::thread(body).join();
}

std::thread::id where_a_region_runs() {
    std::thread::id id;
    in_team([&id] { id = std::this_thread::get_id(); });
    return id;
}

// Runs body while so many threads are alive that run their regions themselves. They end with it, so that each
// test finds all places free.
template <class Body>
void beside_owners(int count, Body body) {
    if (count == 0) return body();
    in_thread([&] {
        EXPECT_EQ(where_a_region_runs(), std::this_thread::get_id());
        beside_owners(count - 1, body);
        EXPECT_EQ(where_a_region_runs(), std::this_thread::get_id());
    });
}

// Adds up 0 .. count - 1 on as many threads as a region may have.
int64_t parallel_sum(int64_t count) {
    int64_t sum = 0;
    in_team([&sum, count] {
        int64_t total = 0;
#pragma omp parallel for schedule(static) reduction(+ : total)
        for (int64_t i = 0; i < count; ++i) total += i;
        sum = total;
    });
    return sum;
}

int native_threads() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word)
        if (word == "Threads:") {
            int count = 0;
            status >> count;
            return count;
        }
    return -1;
}

TEST(Team, FourThreadsRunTheirRegionsThemselvesAndTheOthersShareOne) {
    beside_owners(4, [] {
        std::thread::id first, second;
        in_thread([&first] { first = where_a_region_runs(); });
        in_thread([&second] {
            second = where_a_region_runs();
            EXPECT_NE(second, std::this_thread::get_id());
        });
        EXPECT_EQ(first, second);
    });
}

TEST(Team, TheNextTakesThePlaceOfOneThatHasEnded) {
    for (int i = 0; i < 8; ++i)
        in_thread([] { EXPECT_EQ(where_a_region_runs(), std::this_thread::get_id()); });
}

TEST(Team, ManyThreadsTakeTurns) {
    beside_owners(4, [] {
        std::atomic<int> inside{0};
        std::vector<std::thread> threads;
        for (int t = 1; t <= 32; ++t)
            threads.emplace_back([t, &inside] {
                omp_set_num_threads(2 + t % 3);
                for (int i = 0; i < 200; ++i) {
                    int seen = 0, alone = 0;
                    in_team([&] {
                        alone = inside.fetch_add(1) == 0;
                        seen = omp_get_max_threads();
                        inside.fetch_sub(1);
                    });
                    ASSERT_EQ(seen, 2 + t % 3) << "a region has its caller's number of threads";
                    ASSERT_TRUE(alone);
                }
            });
        for (std::thread& thread : threads) thread.join();
    });
}

TEST(Team, WhatARegionThrowsIsThrownToItsCaller) {
    beside_owners(4, [] {
        const auto check = [] {
            try {
                in_team([] { throw std::runtime_error("thrown inside"); });
                ADD_FAILURE() << "nothing was thrown";
            } catch (const std::runtime_error& e) {
                EXPECT_STREQ(e.what(), "thrown inside");
            }
            EXPECT_NE(where_a_region_runs(), std::thread::id()) << "and the next one runs";
        };
        check();
        in_thread(check);
    });
}

TEST(Team, ARegionWithinARegionRunsWhereItStands) {
    beside_owners(4, [] {
        in_thread([] {
            std::thread::id outer, inner;
            in_team([&] {
                outer = std::this_thread::get_id();
                inner = where_a_region_runs();
            });
            EXPECT_EQ(outer, inner);
        });
    });
}

TEST(Team, OneThreadNeedsNoOther) {
    beside_owners(4, [] {
        in_thread([] {
            omp_set_num_threads(1);
            EXPECT_EQ(where_a_region_runs(), std::this_thread::get_id());
        });
    });
}

TEST(Team, ManyThreadsHaveFivePoolsBetweenThem) {
    in_thread([] {
        constexpr int kThreads = 64;
        const int before = native_threads();
        std::atomic<int> computed{0}, most{0};
        std::vector<std::thread> threads;
        for (int t = 0; t < kThreads; ++t)
            threads.emplace_back([&, t] {
                for (int i = 0; i < 20; ++i) EXPECT_EQ(parallel_sum(t + i), (t + i) * (t + i - 1) / 2);
                if (++computed == kThreads) most = native_threads();
                while (most == 0) std::this_thread::yield();  // all are alive when they are counted
            });
        for (std::thread& thread : threads) thread.join();
        EXPECT_LE(most, before + kThreads + 4 * (omp_get_max_threads() - 1) + omp_get_max_threads());
    });
}

TEST(Team, AForkedChildComputesOn) {
    in_thread([] {
        EXPECT_EQ(parallel_sum(1000), 499500);
        const pid_t child = fork();
        if (child == 0) {
            alarm(60);  // rather than hang
            _exit(parallel_sum(1000) == 499500 && parallel_sum(2000) == 1999000 ? 0 : 1);
        }
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0);
    });
}

}  // namespace

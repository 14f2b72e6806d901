// vector_quantize_histogram against a count by hand.
#include <random>

#include "case_table.h"

namespace jlatent::test {
namespace {

using Integers = Array<int32_t>;

TEST(VectorQuantizeHistogram, CountsEveryBook) {
    std::mt19937 random(3);
    for (const int64_t rows : {0, 1, 7, 1000})
        for (const int64_t books : {1, 3})
            for (const int64_t count : {1, 5, 300}) {
                std::vector<int32_t> given(static_cast<size_t>(rows * books));
                std::vector<int32_t> expected(static_cast<size_t>(books * count));
                for (size_t i = 0; i < given.size(); ++i) {
                    given[i] = static_cast<int32_t>(random() % static_cast<uint32_t>(count + 1)) - 1;
                    if (given[i] >= 0)
                        ++expected[i % static_cast<size_t>(books) * static_cast<size_t>(count) +
                                   static_cast<size_t>(given[i])];
                }
                Integers codes(given);
                auto histogram = Integers::output(expected.size());
                ASSERT_OK(kernels().vector_quantize_histogram(rows, books, count, codes.data(),
                                                              histogram.data(), stream()));
                EXPECT_EQ(histogram.read(), expected) << rows << " rows, " << books << " books, " << count;
            }
}

TEST(VectorQuantizeHistogram, BadArgumentsAreNamed) {
    Integers codes(std::vector<int32_t>{0, 2, -1, 1}), histogram(std::vector<int32_t>(4, 0));
    const auto run = [&](int64_t rows, int64_t books, int64_t count, const int32_t* given) {
        return kernels().vector_quantize_histogram(rows, books, count, given, histogram.data(), stream());
    };
    EXPECT_BAD_ARGUMENT(run(4, 1, 0, codes.data()), "got 4, 1 and 0");
    EXPECT_BAD_ARGUMENT(run(-1, 1, 2, codes.data()), "got -1, 1 and 2");
    EXPECT_BAD_ARGUMENT(run(4, 1, 2, nullptr), "an array is null");
    if (std::string(kernels().name).rfind("cpu", 0) == 0)
        EXPECT_BAD_ARGUMENT(run(4, 1, 2, codes.data()), "codes[1] is 2, but there are 2 codes");
    else {  // cannot know without waiting
        ASSERT_OK(run(4, 1, 2, codes.data()));
        EXPECT_EQ(histogram.read(), (std::vector<int32_t>{1, 1, 0, 0}));
    }
}

}  // namespace
}  // namespace jlatent::test

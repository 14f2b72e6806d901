// Known answers of philox4x32-10 from Random123's kat_vectors [Salmon et al. 2011], on the shared arithmetic
// itself.
#include "philox.h"

#include <gtest/gtest.h>

#include "philox_cpu.h"

namespace jlatent::JL_TABLE {
namespace {

struct Known {
    uint32_t counter[4], key[2], words[4];
};

const Known kKnown[] = {
    {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}},
    {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}},
    {{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
     {0xa4093822u, 0x299f31d0u},
     {0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}},
};

TEST(Philox, GivesThePublishedKnownAnswers) {
    for (const Known& k : kKnown) {
        const Words out =
            philox(k.counter[0], k.counter[1], k.counter[2], k.counter[3], {k.key[0], k.key[1]});
        for (int w = 0; w < 4; ++w) EXPECT_EQ(out.w[w], k.words[w]);
    }
}

TEST(Philox, VectorsGiveTheSameWords) {
    for (const Known& k : kKnown) {
        uint32_t words[kPhiloxWords][kLanes];
        philox_words(k.counter[0], k.counter[1], k.counter[2], k.counter[3], {k.key[0], k.key[1]},
                     &words[0][0], kLanes);
        for (int l = 0; l < kLanes; ++l) {
            const Words one = philox(k.counter[0] + static_cast<uint32_t>(l), k.counter[1], k.counter[2],
                                     k.counter[3], {k.key[0], k.key[1]});
            for (int w = 0; w < 4; ++w) EXPECT_EQ(words[w][l], one.w[w]) << "lane " << l;
        }
    }
}

}  // namespace
}  // namespace jlatent::JL_TABLE

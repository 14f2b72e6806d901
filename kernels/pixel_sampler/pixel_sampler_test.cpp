// pixel_sampler against naive sampling: the same images, and the same parameters when an image is given.
#include "pixel_sampler_networks.h"

namespace jlatent::test {
namespace {

// Draws nearer than this to an edge may fall to either side: sums have another order.
constexpr float kEdge = 1e-5f;

// How many images differ from naive ones, each from a draw near an edge on; a failure for any other difference.
int differences(const Network& network, const Sample& sampled, const Sample& expected) {
    const size_t images = static_cast<size_t>(network.shape.batch),
                 an_image = sampled.image.size() / std::max<size_t>(1, images),
                 channels = static_cast<size_t>(network.shape.channels);
    int different = 0;
    for (size_t n = 0; n < images; ++n) {
        const auto at = sampled.image.begin() + static_cast<std::ptrdiff_t>(n * an_image);
        const auto first = std::mismatch(at, at + static_cast<std::ptrdiff_t>(an_image),
                                         expected.image.begin() + static_cast<std::ptrdiff_t>(n * an_image));
        if (first.first == at + static_cast<std::ptrdiff_t>(an_image)) continue;
        const size_t value = static_cast<size_t>(first.first - sampled.image.begin());
        EXPECT_LT(expected.margins[value / channels], kEdge)
            << "image " << n << ", value " << value - n * an_image << ": " << sampled.image[value]
            << ", naive " << expected.image[value];
        ++different;
    }
    return different;
}

void expect_naive(Network& network, const Levels& given) {
    const Sample expected = naive(network, given), sampled = sample(network, given);
    const int different = differences(network, sampled, expected);
    EXPECT_LE(different, 1) << "images with a draw near an edge";
    // Teacher-forced: nothing is left to draw.
    const Sample forced = sample(network, expected.image);
    EXPECT_EQ(forced.image, expected.image);
    EXPECT_CLOSE(forced.parameters, doubles(expected.parameters), 2e-5, 2e-5);
    EXPECT_EQ(forced.margins, std::vector<float>(forced.margins.size(), 1.0f));
    if (different == 0) {
        EXPECT_EQ(sampled.parameters, forced.parameters);
        EXPECT_CLOSE(sampled.margins, doubles(expected.margins), 0.0, 2e-5);
    }
}

void expect_naive(Network&& network) {
    expect_naive(network, Levels(static_cast<size_t>(network.values()), -1));
}

TEST(PixelSampler, RasterKernelsEqualNaiveSampling) {
    expect_naive(raster(1, 6, 5));
    expect_naive(raster(3, 5, 9));
    expect_naive(deep(9, 3, 4));
}

TEST(PixelSampler, TwoStacksEqualNaiveSampling) {
    expect_naive(gated(1, 6, 5, 4, false));
    expect_naive(gated(3, 3, 11, 9, true));
    expect_naive(gated(17, 2, 3, 18, true));
}

TEST(PixelSampler, ColourGroupsEqualNaiveSampling) {
    expect_naive(colours(1, 4, 5, 2));
    expect_naive(colours(3, 3, 4, 11));
    expect_naive(coloured_stacks(2, 3, 4, 6, false));
    expect_naive(coloured_stacks(1, 4, 3, 40, true));
}

TEST(PixelSampler, RowLstmsEqualNaiveSampling) {
    expect_naive(recurrent(1, 7, 5, 4));
    expect_naive(recurrent(3, 4, 9, 19));
    expect_naive(recurrent(17, 3, 2, 8));
    expect_naive(coloured_rows(2, 4, 3, 5));
}

TEST(PixelSampler, CodesEqualNaiveSampling) {
    expect_naive(codes(1, 5, 4, 2));
    expect_naive(codes(3, 3, 5, 70));
}

TEST(PixelSampler, AttentionEqualsNaiveSampling) {
    expect_naive(attentive(3, 4, 5, 2, 5));
    expect_naive(attentive(1, 1, 66, 1, 1));  // more pixels before than are weighed together
    expect_naive(attentive(1, 4, 17, 1, 4));
    expect_naive(attentive(9, 3, 4, 2, 33));
}

TEST(PixelSampler, MixturesEqualNaiveSampling) {
    expect_naive(mixture(1, 5, 4, 1, 4));
    expect_naive(mixture(3, 3, 5, 3, 256));
}

TEST(PixelSampler, HalvedMapsEqualNaiveSampling) {
    expect_naive(plus_plus(1, 4, 4, 2, 5));
    expect_naive(plus_plus(3, 8, 4, 3, 6, true));
    expect_naive(plus_plus(9, 2, 6, 2, 19));
    expect_naive(coloured_plus_plus(2, 4, 6, 2, 7));
    expect_naive(halved_colours(2, 4, 6, 5));
}

TEST(PixelSampler, ImagesOfOneRowColumnOrPixel) {
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{1, 1}, {1, 9}, {9, 1}, {2, 2}}) {
        SCOPED_TRACE(std::to_string(height) + " x " + std::to_string(width));
        expect_naive(raster(2, height, width));
        expect_naive(gated(1, height, width, 5, true));
        expect_naive(colours(2, height, width, 3));
        expect_naive(attentive(2, height, width, 2, 3));
        expect_naive(recurrent(2, height, width, 6));
    }
}

TEST(PixelSampler, TemperatureAndTopK) {
    Network n = codes(5, 4, 5, 30);
    n.shape.temperature = 0.6f;
    n.shape.top_k = 3;
    const Levels nothing(static_cast<size_t>(n.values()), -1);
    expect_naive(n, nothing);
    // Of one level there is nothing to choose: the likeliest, whatever the noise.
    n.shape.top_k = 1;
    const Sample s = sample(n, nothing);
    for (size_t p = 0; p < s.image.size(); ++p) {
        const auto at = s.parameters.begin() + static_cast<std::ptrdiff_t>(p) * 30;
        EXPECT_EQ(s.image[p], std::max_element(at, at + 30) - at) << "pixel " << p;
    }
}

// What is given stays; the rest is drawn as if it had been drawn before.
TEST(PixelSampler, PartsOfImagesAreGiven) {
    const auto check = [](Network n) {
        Levels given(static_cast<size_t>(n.values()));
        std::mt19937 engine(7);
        for (int32_t& v : given)
            v = engine() % 2 == 0 ? -1
                                  : static_cast<int32_t>(engine() % static_cast<unsigned>(n.shape.levels));
        expect_naive(n, given);
        if (n.shape.distribution == JL_LOGISTIC_MIXTURE) return;
        const Levels image = sample(n, given).image;
        for (size_t i = 0; i < given.size(); ++i)
            EXPECT_EQ(image[i], given[i] >= 0 ? given[i] : image[i]) << "value " << i;
    };
    check(gated(2, 5, 6, 7, false));
    check(colours(2, 4, 3, 5));
    check(recurrent(2, 5, 4, 6));
    check(mixture(2, 4, 5, 2, 8));
    check(plus_plus(2, 4, 8, 3, 5));
    check(attentive(2, 4, 5, 2, 3));
}

// Bit for bit: the noise is chosen by the image's number, and sums do not know the batch.
TEST(PixelSampler, ImagesDoNotDependOnTheirBatch) {
    Network all = colours(17, 4, 5, 6);
    const Sample together = sample(all, Levels(static_cast<size_t>(all.values()), -1));
    const size_t an_image = 4 * 5 * 3;
    for (const int64_t number : {0, 6, 16}) {
        Network one = colours(1, 4, 5, 6);
        one.shape.first_image = number;
        // The vector of an image is part of what it is drawn from.
        for (size_t i = 0; i < one.nodes.size(); ++i)
            if (all.nodes[i].vector != nullptr)
                one.nodes[i].vector = all.nodes[i].vector + number * 2 * one.nodes[i].channels;
        // Weights are those of the larger network, whose vectors came in between.
        for (size_t i = 0; i < one.nodes.size(); ++i) {
            one.nodes[i].data = all.nodes[i].data;
            one.nodes[i].bias = all.nodes[i].bias;
        }
        const Sample alone = sample(one, Levels(an_image, -1));
        const auto at =
            together.image.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(number) * an_image);
        EXPECT_EQ(alone.image, Levels(at, at + static_cast<std::ptrdiff_t>(an_image))) << "image " << number;
        const auto from = together.parameters.begin() +
                          static_cast<std::ptrdiff_t>(static_cast<size_t>(number) * an_image * 6);
        EXPECT_EQ(alone.parameters,
                  std::vector<float>(from, from + static_cast<std::ptrdiff_t>(an_image * 6)));
    }
    // Other images are others.
    Network later = gated(4, 6, 6, 5, false), first = gated(4, 6, 6, 5, false);
    later.shape.first_image = 4;
    const Levels nothing(4 * 36, -1);
    EXPECT_NE(sample(later, nothing).image, sample(first, nothing).image);
    EXPECT_EQ(sample(first, nothing).image, sample(first, nothing).image);
}

// The words are likelihood_draw's: from the parameters that a sampler reports it draws the same images.
TEST(PixelSampler, DrawsAreThoseOfTheLikelihood) {
    const auto check = [](Network n) {
        const jl_pixel_sampler& s = n.shape;
        n.shape.temperature = 1.3f;
        const Sample sampled = sample(n, Levels(static_cast<size_t>(n.values()), -1));
        const int64_t channels = s.channels;
        const jl_likelihood_levels l = {
            s.batch,
            s.height * s.width,
            1,
            static_cast<int32_t>(channels),
            s.levels,
            static_cast<int32_t>(n.parameter_count() / (1 + 2 * channels + channels * (channels - 1) / 2)),
            s.distribution};
        Floats parameters(sampled.parameters);
        auto drawn = Array<int32_t>::output(sampled.image.size());
        auto random = random_state(kState.seed, kState.step);
        ASSERT_OK(kernels().likelihood_draw(&l, parameters.data(), random.data(), s.site, s.temperature,
                                            s.top_k, drawn.data(), stream()));
        EXPECT_EQ(drawn.read(), sampled.image);
    };
    check(gated(3, 4, 5, 6, false));
    check(colours(2, 4, 5, 9));
    check(attentive(3, 3, 5, 2, 4));
    check(mixture(2, 4, 5, 3, 256));
}

// Nothing but the image: neither given, parameters nor margins.
TEST(PixelSampler, WhatIsNotWantedMayBeNull) {
    Network n = gated(2, 5, 4, 6, false);
    const Levels expected = sample(n, Levels(40, -1)).image;
    auto image = Array<int32_t>::output(40);
    auto random = random_state(kState.seed, kState.step);
    Workspace w(kernels().pixel_sampler_workspace(&n.shape, n.nodes.data(), n.count()));
    ASSERT_OK(kernels().pixel_sampler(&n.shape, n.nodes.data(), n.count(), nullptr, random.data(),
                                      image.data(), nullptr, nullptr, w.get(), stream()));
    EXPECT_EQ(image.read(), expected);
    n.shape.batch = 0;
    ASSERT_OK(kernels().pixel_sampler(&n.shape, n.nodes.data(), n.count(), nullptr, random.data(), nullptr,
                                      nullptr, nullptr, w.get(), stream()));
}

// Parameters that are no distribution draw -1; so does what sees them, and nothing else.
TEST(PixelSampler, NaNReachesWhatSeesIt) {
    Network n(2, 4, 5, 1, 3);
    n.shape.distribution = JL_CATEGORICAL;
    std::vector<float> map(40 * 3, 0.0f);
    map[(20 + 1 * 5 + 2) * 3 + 1] = std::numeric_limits<float>::quiet_NaN();  // image 1, pixel (1, 2)
    Floats condition(map);
    const int given = n.given(3);
    n.nodes[0].data = condition.data();
    n.conv(n.conv(n.embedding(4), {JL_RASTER_A, 3, 5}), {JL_RASTER_B, 1, 3, JL_PLAIN, given});
    const Levels image = sample(n, Levels(40, -1)).image;
    for (int p = 0; p < 40; ++p) {
        const int y = p % 20 / 5, x = p % 5;
        // A row further down one pixel more to the left sees it; to the right all do, from pixel to pixel.
        const bool sees = p >= 20 && (y == 1 ? x >= 2 : y > 1 && x >= 2 - (y - 1));
        EXPECT_EQ(image[static_cast<size_t>(p)] < 0, sees)
            << "image " << p / 20 << ", pixel " << y << ", " << x;
    }
}

// What a group does not see is not even multiplied with 0: neither what will be drawn, nor what stood there a row before.
TEST(PixelSampler, HiddenGroupsMayBeNaN) {
    Network n(1, 4, 5, 3, 2, 3);
    n.shape.distribution = JL_CATEGORICAL;
    std::vector<float> map(20 * 6, 0.0f);
    map[(1 * 5 + 2) * 6 + 2] = std::numeric_limits<float>::quiet_NaN();  // pixel (1, 2), the second colour
    Floats condition(map);
    const int given = n.given(6);
    n.nodes[0].data = condition.data();
    const int h = n.conv(n.pixels(), {JL_HORIZONTAL_A, 3, 6, JL_PLAIN, -1, false, 3});
    n.conv(h, {JL_HORIZONTAL_B, 1, 6, JL_PLAIN, given, false, 3});
    const Levels image = sample(n, Levels(60, -1)).image;
    for (int i = 0; i < 60; ++i) {
        const int y = i / 15, x = i / 3 % 5, c = i % 3;
        const bool sees = y == 1 && (x > 2 || (x == 2 && c >= 1));  // rows know nothing of each other
        EXPECT_EQ(image[static_cast<size_t>(i)] < 0, sees) << "pixel " << y << ", " << x << ", colour " << c;
    }
}

TEST(PixelSampler, BadProgramsAreNamed) {
    const auto expect = [](Network& n, const std::string& text) {
        auto random = random_state(1, 0);
        auto image = Array<int32_t>::output(static_cast<size_t>(n.values()));
        Workspace w(4096);
        EXPECT_BAD_ARGUMENT(
            kernels().pixel_sampler(&n.shape, n.nodes.data(), n.count(), nullptr, random.data(), image.data(),
                                    nullptr, nullptr, w.get(), stream()),
            text);
    };
    using Change = std::function<void(Network&)>;
    const auto colour = [&](const std::string& text, const Change& change) {
        Network n = colours(1, 3, 4, 5);
        change(n);
        expect(n, text);
    };
    colour("node 1, masked_conv: kernel must be odd", [](Network& n) { n.nodes[1].kernel = 4; });
    colour("node 1 must read a node before it, got 1", [](Network& n) { n.nodes[1].input = 1; });
    colour("node 3 must read a node before it, got -1 as the other",
           [](Network& n) { n.nodes[3].other = -1; });
    colour("node 2, masked_conv: groups must divide", [](Network& n) { n.nodes[2].channels = 16; });
    colour("node 2, masked_conv: the image has 3 groups, so it must have as many, got 1",
           [](Network& n) { n.nodes[2].groups = 1; });
    colour("node 2, masked_conv: the weight is null", [](Network& n) { n.nodes[2].data = nullptr; });
    colour("node 2, masked_conv: vertical taps B see all of a row, but node 1", [](Network& n) {
        n.nodes[2].taps = JL_VERTICAL_B;
        n.nodes[2].groups = 1;
    });
    colour("node 2, masked_conv: node 0 has 3 channels, but what is added to the sums must have 30",
           [](Network& n) { n.nodes[2].other = 0; });
    colour("node 3, add, has 12 channels, nodes 1 and 2 have 15 and 15",
           [](Network& n) { n.nodes[3].channels = 12; });
    colour("node 4, activation, must have a function from 0 to 7, got 9",
           [](Network& n) { n.nodes[4].function = 9; });
    colour("node 2, masked_conv: function must be from 0 to 3, got 4",
           [](Network& n) { n.nodes[2].function = 4; });
    const auto node = [](Network& n, jl_node_kind kind, int64_t channels) {
        n.nodes[2].kind = kind;
        n.nodes[2].channels = channels;
    };
    colour("node 2, subsample, halves sides that are even, node 1 is 3 x 4",
           [&](Network& n) { node(n, JL_NODE_SUBSAMPLE, 15); });
    colour("node 2, subsample, has 14 channels, node 1 has 15",
           [&](Network& n) { node(n, JL_NODE_SUBSAMPLE, 14); });
    colour("node 2, upsample: node 1 is as large as the image",
           [&](Network& n) { node(n, JL_NODE_UPSAMPLE, 15); });
    colour("node 2, concat_elu, has 15 channels, node 1 has 15, not half as many",
           [&](Network& n) { node(n, JL_NODE_CONCAT_ELU, 15); });
    colour("node 2, concat_elu, has one group of channels, the image has 3",
           [&](Network& n) { node(n, JL_NODE_CONCAT_ELU, 30); });
    colour("node 3 reads nodes 1 and 2, of which one is larger", [&](Network& n) {
        n.shape.height = 4;
        node(n, JL_NODE_SUBSAMPLE, 15);
    });
    colour("the last node is smaller than the image", [&](Network& n) {
        n.shape.height = 4;
        node(n, JL_NODE_SUBSAMPLE, 15);
        n.nodes.resize(3);
    });
    colour("node 0, pixels, must have 3 channels, got 4", [](Network& n) { n.nodes[0].channels = 4; });
    colour("node 5 is of unknown kind 17", [](Network& n) { n.nodes[5].kind = 17; });
    const auto attend = [&](const std::string& text, const Change& change) {
        Network n = attentive(1, 3, 4, 2, 5);
        change(n);
        expect(n, text);
    };
    const auto attention = [](Network& n) -> jl_sampler_node& {
        return *std::find_if(n.nodes.begin(), n.nodes.end(),
                             [](const jl_sampler_node& node) { return node.kind == JL_NODE_ATTENTION; });
    };
    attend("node 3, attention, must have heads of up to 128 channels, got 3 heads and 10 channels",
           [&](Network& n) { attention(n).groups = 3; });
    attend("got 0 heads and 10", [&](Network& n) { attention(n).groups = 0; });
    attend("node 3, attention, has 8 channels, so node 2 must have three times as many, got 30",
           [&](Network& n) { attention(n).channels = 8; });
    attend("node 3, attention, sees whole pixels, but node 0 depends on channels of the pixel itself",
           [&](Network& n) { attention(n).channels = 2, attention(n).input = 0; });
    const auto rows = [&](const std::string& text, const Change& change) {
        Network n = coloured_rows(1, 3, 4, 5);
        change(n);
        expect(n, text);
    };
    rows("node 2 must read a node of the program, got 13", [](Network& n) { n.nodes[2].input = 13; });
    rows("node 3 must read a node before it, got 5", [](Network& n) { n.nodes[3].input = 5; });
    rows("node 2 must read a node before it, got 5", [](Network& n) { n.nodes[2].taps = JL_VERTICAL_B; });
    rows("node 4, lstm_cell, has 7 channels, of which each has four sums: node 3 has 24",
         [](Network& n) { n.nodes[4].channels = 7; });
    rows("node 5 must read a node before it, got -1 as the other", [](Network& n) { n.nodes[5].other = -1; });
    rows("node 5, lstm_hidden, has 6 channels, node 1 has 12", [](Network& n) { n.nodes[5].other = 1; });
    rows("node 3, masked_conv: node 1 has 12 channels, but what is added to the sums must have 24",
         [](Network& n) { n.nodes[3].other = 1; });
    Network halves(1, 3, 4, 2, 5, 2);
    halves.row_lstm(halves.conv(halves.pixels(), {JL_RASTER_A, 3, 4, JL_PLAIN, -1, false, 2}), 3, 2);
    expect(halves, "node 4, lstm_cell: the image has 2 groups, which must divide its 3 channels");
    colour("the last node sees the values that are drawn", [](Network& n) { n.nodes[1].taps = JL_RASTER_B; });
    colour("5 levels of 3 channels are so many parameters, got 12",
           [](Network& n) { n.nodes.back().channels = 12; });
    colour("needs nodes", [](Network& n) { n.nodes.clear(); });
    colour("groups must divide channels, got 2 groups and 3", [](Network& n) { n.shape.groups = 2; });
    colour("levels must be at least 2, got 1", [](Network& n) { n.shape.levels = 1; });
    colour("temperature must be positive and finite, got 0", [](Network& n) { n.shape.temperature = 0.0f; });
    colour("top_k must be from 0 to 5, got 6", [](Network& n) { n.shape.top_k = 6; });
    colour("distribution must be 0, 3 or 4, got 1", [](Network& n) { n.shape.distribution = 1; });
    colour("got 1, 3, 0 and 3", [](Network& n) { n.shape.width = 0; });
    colour("the mixture draws at most 8 channels, in 1 group",
           [](Network& n) { n.shape.distribution = JL_LOGISTIC_MIXTURE; });
    colour("Bernoulli has 2 levels and 3 parameters",
           [](Network& n) { n.shape.distribution = JL_BERNOULLI; });

    Network good = colours(1, 3, 4, 5);
    auto random = random_state(1, 0);
    auto image = Array<int32_t>::output(static_cast<size_t>(good.values()));
    const size_t bytes = kernels().pixel_sampler_workspace(&good.shape, good.nodes.data(), good.count());
    Workspace w(bytes);
    EXPECT_BAD_ARGUMENT(
        kernels().pixel_sampler(&good.shape, good.nodes.data(), good.count(), nullptr, random.data(),
                                image.data(), nullptr, nullptr, {w.get().data, bytes - 1}, stream()),
        "pixel_sampler: the workspace has " + std::to_string(bytes - 1) + " bytes, " + std::to_string(bytes) +
            " are needed");
    EXPECT_BAD_ARGUMENT(kernels().pixel_sampler(&good.shape, good.nodes.data(), good.count(), nullptr,
                                                nullptr, image.data(), nullptr, nullptr, w.get(), stream()),
                        "random and image must not be null");
    EXPECT_BAD_ARGUMENT(
        kernels().pixel_sampler(nullptr, good.nodes.data(), good.count(), nullptr, random.data(),
                                image.data(), nullptr, nullptr, w.get(), stream()),
        "shape and nodes must not be null");
    good.shape.top_k = 6;
    EXPECT_EQ(kernels().pixel_sampler_workspace(&good.shape, good.nodes.data(), good.count()), 0u);
}

// A level that there is not is refused where the host can see it; elsewhere it is none.
TEST(PixelSampler, GivenLevelsMustExist) {
    Network n = codes(1, 2, 3, 4);
    Levels given = {0, 3, 4, -1, -1, -1};
    Array<int32_t> take(given), image = Array<int32_t>::output(6);
    auto random = random_state(1, 0);
    Workspace w(kernels().pixel_sampler_workspace(&n.shape, n.nodes.data(), n.count()));
    const jl_status status =
        kernels().pixel_sampler(&n.shape, n.nodes.data(), n.count(), take.data(), random.data(), image.data(),
                                nullptr, nullptr, w.get(), stream());
    if (std::string(kernels().name).rfind("cpu", 0) == 0) {
        EXPECT_BAD_ARGUMENT(status, "given[2] is 4, but there are 4 levels");
    } else {
        ASSERT_OK(status);
        const Levels drawn = image.read();
        EXPECT_EQ(Levels(drawn.begin(), drawn.begin() + 3), (Levels{0, 3, -1}));
        EXPECT_GE(drawn[3], 0) << "raster kernels do not see so far to the right";
        EXPECT_EQ(Levels(drawn.begin() + 4, drawn.end()), (Levels{-1, -1}));
    }
}

}  // namespace
}  // namespace jlatent::test

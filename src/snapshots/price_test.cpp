#include "snapshots/price.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace drover::snapshots {
namespace {

using std::chrono::milliseconds;

TEST(Price, IsPaidOnAProcessorAndNotOnAFastGpu) {
    // SmolLM2-135M on two cores: 3,036 tokens in 15 s.
    EXPECT_TRUE(Price().pays(67_MiB, milliseconds(15'000)));
    // A 7B model on an H100: 4,000 tokens in 0.36 s, saved in 0.55 s, back in 0.22 s.
    Price price;
    price.note_saved(500_MiB, milliseconds(550));
    price.note_restored(500_MiB, milliseconds(220));
    EXPECT_FALSE(price.pays(500_MiB, milliseconds(360)));
    EXPECT_TRUE(price.pays(500_MiB, milliseconds(3'600)));
}

TEST(Price, ForgetsABadMoment) {
    Price price;
    price.note_saved(100_MiB, milliseconds(60'000));
    int refused = 0;
    while (!price.pays(100_MiB, milliseconds(500))) {
        ++refused;
    }
    EXPECT_GT(refused, 10);
    EXPECT_LT(refused, 100);
}

TEST(Price, IsNoMatterOfSmallStates) {
    Price price;
    price.note_saved(1_MiB, milliseconds(60'000));
    EXPECT_TRUE(price.pays(1_MiB, milliseconds(0)));
    EXPECT_TRUE(price.pays(100_MiB, milliseconds(200)));
}

}  // namespace
}  // namespace drover::snapshots

#include "memory/pressure.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::memory {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{};

MemorySample quiet(Bytes available, Bytes ours = {}) {
    return {.available = available, .ours = ours, .held = ours};
}

TEST(Pressure, LeavesTheBudgetAloneWhileThereIsEnough) {
    Pressure pressure(8_GiB, 512_MiB);
    EXPECT_EQ(pressure.note(quiet(20_GiB), kStart), 8_GiB);
    // What we take ourselves is no pressure.
    EXPECT_EQ(pressure.note(quiet(1_GiB, 7_GiB + 512_MiB), kStart + seconds(1)), 8_GiB);
}

TEST(Pressure, FallsAtOnceByWhatOthersTook) {
    Pressure pressure(8_GiB, 512_MiB);
    EXPECT_EQ(pressure.note(quiet(1_GiB, 5_GiB), kStart), 5_GiB + 512_MiB);
    EXPECT_EQ(pressure.note(quiet(100_MiB, 5_GiB), kStart + seconds(1)), 4_GiB + 576_MiB);
    EXPECT_EQ(pressure.note(quiet(Bytes(0)), kStart + seconds(2)), Bytes(0));
}

TEST(Pressure, RisesWhenOthersHaveBeenCalm) {
    Pressure pressure(8_GiB, 512_MiB);
    pressure.note(quiet(1_GiB, 5_GiB), kStart);
    EXPECT_EQ(pressure.note(quiet(9_GiB, 5_GiB), kStart + seconds(9)), 5_GiB + 512_MiB);
    EXPECT_EQ(pressure.note(quiet(9_GiB, 5_GiB), kStart + seconds(10)), 8_GiB);
}

TEST(Pressure, DoesNotRiseBetweenTwoPeaks) {
    Pressure pressure(8_GiB, Bytes(0));
    for (int peak = 0; peak < 100; peak += 5) {
        EXPECT_EQ(pressure.note(quiet(4_GiB), kStart + seconds(peak)), 4_GiB);
        EXPECT_EQ(pressure.note(quiet(9_GiB), kStart + seconds(peak + 4)), 4_GiB);
    }
}

TEST(Pressure, AStalledMachineGetsAStepOfWhatIsHeldBackNowAndThen) {
    Pressure pressure(8_GiB, Bytes(0));
    MemorySample stalled{.available = 4_GiB, .ours = 1_GiB, .held = 6_GiB, .stalled = 0.3};
    EXPECT_EQ(pressure.note(stalled, kStart), 5_GiB);  // what is measured counts first
    stalled.held = 3_GiB;
    EXPECT_EQ(pressure.note(stalled, kStart + seconds(1)), 5_GiB);
    EXPECT_EQ(pressure.note(stalled, kStart + seconds(12)), 3_GiB - Pressure::kStep);
    stalled.held = 2_GiB;
    EXPECT_EQ(pressure.note(stalled, kStart + seconds(13)), 3_GiB - Pressure::kStep);
}

TEST(Pressure, IsNeverAboveTheBudgetNorNegative) {
    Rng rng(1);
    Pressure pressure(4_GiB, 300_MiB);
    for (int second = 0; second < 10'000; ++second) {
        const MemorySample sample{.available = 1_MiB * rng.between(0, 8'000),
                                  .ours = 1_MiB * rng.between(0, 4'000),
                                  .held = 1_MiB * rng.between(0, 5'000),
                                  .stalled = rng.chance(0.1) ? rng.unit() : 0};
        const Bytes current = pressure.note(sample, kStart + seconds(second));
        EXPECT_GE(current, Bytes(0));
        EXPECT_LE(current, 4_GiB);
        // Nobody is promised what is not there.
        EXPECT_LE(current, std::max(sample.ours + sample.available - 300_MiB, Bytes(0)));
    }
}

}  // namespace
}  // namespace drover::memory

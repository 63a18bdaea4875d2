#include "control/budget_watch.hpp"

#include <gtest/gtest.h>

namespace drover::control {
namespace {

using memory::Footprint;
using memory::kHostDevice;

/// 16 GiB of memory and two GPUs of 8 GiB, half a GiB of each being left to others.
class BudgetWatchTest : public ::testing::Test {
  protected:
    static Footprint budget() {
        Footprint budget = Footprint::host(16_GiB);
        budget[1] = budget[2] = 8_GiB;
        return budget;
    }

    /// Nobody else takes anything.
    static Weighing quiet() {
        Weighing weighing{.own = platform::ProcessMemory{.total = 20_MiB},
                          .host = platform::HostMemory{.total = 64_GiB, .available = 60_GiB}};
        weighing.gpus = {GpuWeight{.free = 24_GiB, .ours = Bytes(0)},
                         GpuWeight{.free = 24_GiB, .ours = Bytes(0)}};
        return weighing;
    }

    BudgetWatch watch_{budget(),
                       {{.slot = 1, .index = 0}, {.slot = 2, .index = 1}},
                       KeptFree{.host = 512_MiB, .gpu = 512_MiB}};
};

TEST_F(BudgetWatchTest, ChargesTheHostForDroverItself) {
    watch_.review(quiet(), {});
    EXPECT_EQ(watch_.own(), 48_MiB);
    EXPECT_EQ(watch_.available()[kHostDevice], 16_GiB - 48_MiB);
    EXPECT_EQ(watch_.available()[2], 8_GiB);
    EXPECT_EQ(watch_.slots(), (std::vector<std::size_t>{0, 1, 2}));
}

TEST_F(BudgetWatchTest, ShrinksTheGpuThatOthersNeedAndNoOther) {
    Weighing weighing = quiet();
    weighing.gpus[1] = GpuWeight{.free = 1_GiB, .ours = 3_GiB};
    watch_.review(weighing, {});
    EXPECT_EQ(watch_.available()[2], 3_GiB + 512_MiB);
    EXPECT_EQ(watch_.taken(2), 4_GiB + 512_MiB);
    EXPECT_EQ(watch_.available()[1], 8_GiB);
    EXPECT_EQ(watch_.taken(kHostDevice), Bytes(0));
}

TEST_F(BudgetWatchTest, BelievesWhatIsChargedWhereNobodyKnowsWhatIsOurs) {
    Weighing weighing = quiet();
    weighing.gpus[0] = GpuWeight{.free = 1_GiB, .ours = std::nullopt};
    Footprint held;
    held[1] = 6_GiB;
    watch_.review(weighing, held);
    EXPECT_EQ(watch_.available()[1], 6_GiB + 512_MiB);
}

TEST_F(BudgetWatchTest, LeavesNothingOfAGpuThatDoesNotAnswer) {
    Weighing weighing = quiet();
    weighing.gpus[0].reset();
    watch_.review(weighing, {});
    EXPECT_EQ(watch_.available()[1], Bytes(0));
    EXPECT_EQ(watch_.available()[2], 8_GiB);
}

TEST_F(BudgetWatchTest, KeepsTheBudgetsWhenTheDriverDoesNotAnswer) {
    Weighing weighing = quiet();
    weighing.gpus.clear();
    watch_.review(weighing, {});
    EXPECT_EQ(watch_.available()[1], 8_GiB);
}

TEST_F(BudgetWatchTest, GivesNothingBackUnlessAsked) {
    BudgetWatch stubborn(budget(), {{.slot = 1}, {.slot = 2}}, std::nullopt);
    Weighing weighing = quiet();
    weighing.gpus[0].reset();
    weighing.host->available = Bytes(0);
    stubborn.review(weighing, {});
    EXPECT_EQ(stubborn.available()[1], 8_GiB);
    EXPECT_EQ(stubborn.available()[kHostDevice], 16_GiB - 48_MiB);
}

TEST(UnifiedMemory, HasNoBudgetOfItsOwn) {
    BudgetWatch watch(
        Footprint::host(16_GiB), {{.slot = kHostDevice, .uuid = "GPU-u"}}, KeptFree());
    EXPECT_EQ(watch.slots(), (std::vector<std::size_t>{kHostDevice}));
    Weighing weighing;
    weighing.gpus = {GpuWeight{}};
    watch.review(weighing, {});
    EXPECT_EQ(watch.available(), Footprint::host(16_GiB));
}

}  // namespace
}  // namespace drover::control

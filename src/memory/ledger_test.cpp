#include "memory/ledger.hpp"

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

constexpr InstanceId kOne{1};
constexpr InstanceId kTwo{2};

TEST(Footprint, FitsWhenEveryDeviceThatItNeedsHasEnough) {
    Footprint needed;
    needed[1] = 4_GiB;
    Footprint there;
    there[kHostDevice] = Bytes(-1);
    there[1] = 4_GiB;
    EXPECT_TRUE(needed.fits(there));
    EXPECT_TRUE(needed.lacks(there).empty());
    there[1] = 3_GiB;
    EXPECT_FALSE(needed.fits(there));
    EXPECT_EQ(needed.lacks(there)[1], 1_GiB);
    EXPECT_EQ(needed.lacks(there)[kHostDevice], Bytes(0));
}

TEST(Ledger, KeepsTheSumOfAllHoldings) {
    Ledger ledger(Footprint::host(10_GiB));
    ledger.reserve(kOne, Footprint::host(4_GiB));
    ledger.reserve(kTwo, Footprint::host(5_GiB));
    EXPECT_EQ(ledger.available(), Footprint::host(1_GiB));
    ledger.correct(kOne, Footprint::host(3_GiB));
    EXPECT_EQ(ledger.held(), Footprint::host(8_GiB));
    ledger.release(kTwo);
    EXPECT_EQ(ledger.held(), Footprint::host(3_GiB));
    ledger.check();
}

TEST(Ledger, SaysWhenTheTruthIsOverTheBudget) {
    Ledger ledger(Footprint::host(10_GiB));
    ledger.reserve(kOne, Footprint::host(10_GiB));
    EXPECT_FALSE(ledger.over_budget());
    ledger.correct(kOne, Footprint::host(11_GiB));
    EXPECT_TRUE(ledger.over_budget());
    ledger.set_budget(Footprint::host(12_GiB));
    EXPECT_FALSE(ledger.over_budget());
}

TEST(LedgerDeathTest, NeverReservesMoreThanThereIs) {
    Ledger ledger(Footprint::host(10_GiB));
    EXPECT_DEATH(ledger.reserve(kOne, Footprint::host(11_GiB)), "fits");
}

}  // namespace
}  // namespace drover::memory

#include "memory/policy_selector.hpp"

#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::memory {
namespace {

/// Models of one size that all cost a second to load, room for two.
class PolicySelection : public ::testing::Test {
  protected:
    bool visit(std::uint64_t model) {
        Usage& usage = usages_.at(model);
        usage.note(++visit_);
        return selector_.note({.model = ModelId{model},
                               .needed = Footprint::host(1_GiB),
                               .load_time = std::chrono::seconds(1)},
                              usage,
                              Footprint::host(2_GiB));
    }

    PolicySelector selector_;
    std::vector<Usage> usages_ = std::vector<Usage>(16);
    Visit visit_ = 0;
};

TEST_F(PolicySelection, StaysWithThePolicyItHasAsLongAsNoneIsBetter) {
    for (int i = 0; i < 100; ++i) {
        EXPECT_FALSE(visit(1));
        EXPECT_FALSE(visit(2));
    }
    EXPECT_EQ(selector_.current(), EvictionPolicy::gdsf_4);
}

TEST_F(PolicySelection, PrefersLongMemoriesForHabitsAndShortOnesForSessions) {
    Rng rng(1);
    // One favourite among many that come now and then: what the last few visits say misleads.
    for (int i = 0; i < 2'000; ++i) {
        visit(rng.chance(0.3) ? 0 : 1 + rng.below(15));
    }
    EXPECT_TRUE(selector_.current() == EvictionPolicy::gdsf_64 ||
                selector_.current() == EvictionPolicy::gdsf_512);
    // Pairs of models that are used together and then never again for long.
    for (int session = 0; session < 100; ++session) {
        const std::uint64_t one = rng.below(16);
        const std::uint64_t other = (one + 1 + rng.below(15)) % 16;
        for (int i = 0; i < 20; ++i) {
            visit(i % 2 == 0 ? one : other);
        }
    }
    EXPECT_TRUE(selector_.current() == EvictionPolicy::gdsf_4 ||
                selector_.current() == EvictionPolicy::lru);
}

TEST_F(PolicySelection, IgnoresAModelThatFitsNowhere) {
    Usage usage;
    usage.note(++visit_);
    EXPECT_FALSE(selector_.note({.model = ModelId{20},
                                 .needed = Footprint::host(3_GiB),
                                 .load_time = std::chrono::hours(1)},
                                usage,
                                Footprint::host(2_GiB)));
    EXPECT_FALSE(visit(1));
}

}  // namespace
}  // namespace drover::memory

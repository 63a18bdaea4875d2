#include "router/verdict.hpp"

#include <cmath>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::router {
namespace {

Confidence of(std::size_t tokens, double probability) {
    Confidence confidence;
    for (std::size_t i = 0; i < tokens; ++i) {
        confidence.add({static_cast<float>(std::log(probability))});
    }
    return confidence;
}

constexpr Demands kDemands{.confidence = 0.7, .tokens = 10};

TEST(Verdict, WaitsForEnoughTokensOrTheEnd) {
    EXPECT_EQ(judge(kDemands, of(9, 0.9), {.empty = false}).verdict, Verdict::undecided);
    EXPECT_EQ(judge(kDemands, of(10, 0.9), {.empty = false}).verdict, Verdict::good);
    EXPECT_EQ(judge(kDemands, of(3, 0.9), {.ended = true, .empty = false}).verdict, Verdict::good);
    EXPECT_EQ(judge(kDemands, of(3, 0.9), {.empty = false, .hurried = true}).verdict,
              Verdict::good);
}

TEST(Verdict, IsWeakBelowTheConfidence) {
    const Opinion opinion = judge(kDemands, of(10, 0.5), {.empty = false});
    EXPECT_EQ(opinion.verdict, Verdict::weak);
    EXPECT_FLOAT_EQ(opinion.score, 0.5F);
    EXPECT_EQ(opinion.reason, "confidence 0.50 is below 0.70");
}

TEST(Verdict, UsesTheCalibration) {
    const Calibration calibration{.knots = {{0, 0}, {0.5F, 0.9F}, {1, 1}}};
    Demands demands = kDemands;
    demands.calibration = &calibration;
    const Opinion opinion = judge(demands, of(10, 0.5), {.empty = false});
    EXPECT_EQ(opinion.verdict, Verdict::good);
    EXPECT_NEAR(opinion.confidence, 0.9, 1e-5);
}

TEST(Verdict, OfABrokenOrEmptyOrSilentAnswerIsWeak) {
    EXPECT_EQ(judge(kDemands, of(99, 1), {.empty = false, .broken = true}).verdict, Verdict::weak);
    EXPECT_EQ(judge(kDemands, of(99, 1), {.ended = true, .empty = true}).verdict, Verdict::weak);
    EXPECT_EQ(judge(kDemands, {}, {.ended = true, .empty = false}).verdict, Verdict::weak);
    EXPECT_EQ(judge(kDemands, {}, {.hurried = true}).verdict, Verdict::weak);
}

TEST(Verdict, WaitsForTheEndOfAToolCall) {
    EXPECT_EQ(judge(kDemands, of(99, 1), {.empty = false, .in_tool = true}).verdict,
              Verdict::undecided);
    EXPECT_EQ(judge(kDemands, of(99, 1), {.ended = true, .empty = false, .in_tool = true}).verdict,
              Verdict::good);
    EXPECT_EQ(
        judge(kDemands, of(99, 1), {.empty = false, .in_tool = true, .hurried = true}).verdict,
        Verdict::weak);
}

// 20,000 random answers: a verdict always has a reason, an ended or hurried one is never left
// undecided, and less certain tokens never make a weak answer good.
TEST(Verdict, HoldsItsPromisesForAnyAnswer) {
    Rng rng(11);
    for (int round = 0; round < 20'000; ++round) {
        const Demands demands{.confidence = rng.unit(),
                              .tokens = static_cast<std::uint32_t>(1 + rng.below(20))};
        const Progress progress{.ended = rng.chance(0.4),
                                .empty = rng.chance(0.2),
                                .broken = rng.chance(0.1),
                                .in_tool = rng.chance(0.2),
                                .hurried = rng.chance(0.2)};
        Confidence confidence;
        Confidence lower;
        for (std::uint64_t i = rng.below(30); i > 0; --i) {
            const auto chosen = static_cast<float>(-rng.exponential(0.7));
            confidence.add({chosen, -2});
            lower.add({chosen - 0.3F, -2});
        }
        const Opinion opinion = judge(demands, confidence, progress);
        ASSERT_EQ(opinion.reason.empty(), opinion.verdict == Verdict::undecided) << round;
        ASSERT_TRUE(opinion.verdict != Verdict::undecided || (!progress.ended && !progress.hurried))
            << round;
        ASSERT_TRUE(opinion.verdict != Verdict::weak ||
                    judge(demands, lower, progress).verdict != Verdict::good)
            << round;
    }
}

}  // namespace
}  // namespace drover::router

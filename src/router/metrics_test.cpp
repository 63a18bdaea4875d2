#include "router/metrics.hpp"

#include <cmath>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::router {
namespace {

/// Four prompts: the strong model gains the first, loses nothing.
std::vector<Outcome> four(std::vector<float> scores) {
    return {{scores[0], false, true},
            {scores[1], true, true},
            {scores[2], true, true},
            {scores[3], false, false}};
}

TEST(Frontier, RisesAtOnceWhenThePredictorIsRight) {
    const auto points = frontier(four({4, 3, 2, 1}));
    EXPECT_FLOAT_EQ(points.front().quality, 0.5F);
    EXPECT_FLOAT_EQ(points[1].quality, 0.75F);
    EXPECT_FLOAT_EQ(points[1].share, 0.25F);
    EXPECT_FLOAT_EQ(points[1].threshold, 4);
    EXPECT_NEAR(apgr(points), 0.875, 1e-6);
    EXPECT_NEAR(cpt(points, 0.5), 0.125, 1e-6);
    EXPECT_NEAR(quality_at(points, 0.125), 0.625, 1e-6);
}

TEST(Frontier, OfEqualScoresIsThatOfChance) {
    const auto points = frontier(four({1, 1, 1, 1}));
    EXPECT_NEAR(apgr(points), 0.5, 1e-6);
    EXPECT_NEAR(cpt(points, 0.8), 0.8, 1e-6);
}

TEST(Frontier, KeepsItsEndsWhenThinned) {
    std::vector<Outcome> outcomes;
    Rng rng(3);
    for (int i = 0; i < 1000; ++i) {
        outcomes.push_back({static_cast<float>(rng.unit()), rng.chance(0.5), rng.chance(0.8)});
    }
    const auto points = frontier(outcomes);
    const auto few = thinned(points, 11);
    EXPECT_LE(few.size(), 12U);
    EXPECT_EQ(few.front().share, 0);
    EXPECT_EQ(few.back().share, 1);
    EXPECT_EQ(few.back().quality, points.back().quality);
}

TEST(Auc, CountsPairsInOrder) {
    EXPECT_DOUBLE_EQ(auc(std::vector<Observation>{{1, false}, {2, true}, {3, true}}), 1.0);
    EXPECT_DOUBLE_EQ(auc(std::vector<Observation>{{1, true}, {1, false}}), 0.5);
    EXPECT_DOUBLE_EQ(auc(std::vector<Observation>{{1, true}, {2, true}}), 0.5);
}

TEST(Isotonic, NeverFallsAndIsTheMeanOfWhatItPools) {
    const auto knots = fit_isotonic({{1, false}, {2, true}, {3, false}, {4, true}});
    ASSERT_EQ(knots.size(), 3U);
    EXPECT_FLOAT_EQ(knots[1].probability, 0.5F);
    EXPECT_FLOAT_EQ(calibrated(knots, 0), 0);
    EXPECT_FLOAT_EQ(calibrated(knots, 9), 1);
    EXPECT_FLOAT_EQ(calibrated(knots, 3.25F), 0.75F);
}

TEST(Isotonic, MakesSkewedProbabilitiesTrue) {
    Rng rng(11);
    std::vector<Observation> fitted;
    std::vector<Observation> fresh;
    for (int i = 0; i < 20'000; ++i) {
        const double p = rng.unit();
        (i % 2 == 0 ? fitted : fresh).push_back({static_cast<float>(p), rng.chance(p * p)});
    }
    EXPECT_GT(calibration_error(fresh), 0.1);
    const auto knots = fit_isotonic(fitted);
    EXPECT_LE(knots.size(), 64U);
    for (Observation& one : fresh) {
        one.score = calibrated(knots, one.score);
    }
    EXPECT_LT(calibration_error(fresh), 0.02);
}

TEST(Bootstrap, SpansTheMeanOfASample) {
    const auto mean = [](std::span<const std::uint32_t> sample) {
        double sum = 0;
        for (const std::uint32_t i : sample) {
            sum += i % 2;
        }
        return sum / static_cast<double>(sample.size());
    };
    const Interval interval = bootstrap(400, 500, 1, mean);
    EXPECT_NEAR(interval.low, 0.45, 0.02);
    EXPECT_NEAR(interval.high, 0.55, 0.02);
    EXPECT_EQ(interval.low, bootstrap(400, 500, 1, mean).low);
}

TEST(Confusion, TellsRecallFromPrecision) {
    Confusion confusion(2);
    confusion.add(0, 0);
    confusion.add(0, 1);
    confusion.add(1, 1);
    EXPECT_NEAR(confusion.accuracy(), 2.0 / 3, 1e-9);
    EXPECT_DOUBLE_EQ(confusion.recall(0), 0.5);
    EXPECT_DOUBLE_EQ(confusion.precision(1), 0.5);
}

}  // namespace
}  // namespace drover::router

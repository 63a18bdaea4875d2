#include "router/confidence.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::router {
namespace {

TokenOdds odds(double chosen, double runner_up) {
    return {static_cast<float>(std::log(chosen)), static_cast<float>(std::log(runner_up))};
}

TEST(Confidence, IsNothingWithoutTokens) {
    EXPECT_EQ(Confidence().score(), 0);
}

TEST(Confidence, IsOneForCertainty) {
    Confidence confidence;
    for (int i = 0; i < 10; ++i) {
        confidence.add({0});
    }
    EXPECT_FLOAT_EQ(confidence.score(), 1);
}

TEST(Confidence, IsTheMeanOfProbabilityAndMargin) {
    Confidence confidence;
    confidence.add(odds(0.6, 0.3));
    EXPECT_NEAR(confidence.score(), (0.6 + 0.3) / 2, 1e-6);
}

TEST(Confidence, LooksAtTheWeakTokensNotAtTheMean) {
    Confidence even;
    Confidence uneven;
    for (int i = 0; i < 100; ++i) {
        even.add(odds(0.8, 0.1));
        uneven.add(i % 4 == 0 ? odds(0.3, 0.29) : odds(0.99, 0.001));
    }
    EXPECT_GT(even.score(), uneven.score());
}

TEST(Confidence, OfATokenThatWasNotTheLikeliestHasNoMargin) {
    Confidence confidence;
    confidence.add(odds(0.2, 0.7));
    EXPECT_NEAR(confidence.score(), 0.1, 1e-6);
}

// 5,000 answers of random odds, some of them no numbers: always in [0, 1], whatever the order, and
// never higher when every token is less certain.
TEST(Confidence, HoldsItsPromisesForAnyOdds) {
    Rng rng(7);
    for (int round = 0; round < 5000; ++round) {
        Confidence forward;
        Confidence backward;
        Confidence lower;
        std::vector<TokenOdds> answer(1 + rng.below(40));
        for (TokenOdds& one : answer) {
            one.chosen = static_cast<float>(-rng.exponential(1));
            one.runner_up = static_cast<float>(-rng.exponential(2));
            if (rng.chance(0.01)) {
                one.chosen = std::numeric_limits<float>::quiet_NaN();
            }
            if (rng.chance(0.01)) {
                one.chosen = std::numeric_limits<float>::infinity();
            }
        }
        for (std::size_t i = 0; i < answer.size(); ++i) {
            forward.add(answer[i]);
            backward.add(answer[answer.size() - 1 - i]);
            lower.add({answer[i].chosen - 0.5F, answer[i].runner_up});
        }
        ASSERT_GE(forward.score(), 0) << round;
        ASSERT_LE(forward.score(), 1) << round;
        ASSERT_FLOAT_EQ(forward.score(), backward.score()) << round;
        ASSERT_LE(lower.score(), forward.score() + 1e-6) << round;
        ASSERT_EQ(forward.tokens(), answer.size());
    }
}

TEST(Confidence, IsBoundedInMemory) {
    Confidence confidence;
    for (int i = 0; i < 100'000; ++i) {
        confidence.add(i < 4096 ? odds(0.5, 0.1) : odds(0.01, 0.9));
    }
    EXPECT_EQ(confidence.tokens(), 100'000U);
    EXPECT_NEAR(confidence.score(), 0.45, 1e-5);
}

}  // namespace
}  // namespace drover::router

#include "router/calibration.hpp"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::router {
namespace {

/// Answers whose chance of being right is the square of their score.
std::vector<Observation> answers(std::size_t count, std::uint64_t seed) {
    Rng rng(seed);
    std::vector<Observation> made;
    for (std::size_t i = 0; i < count; ++i) {
        const double score = rng.unit();
        made.push_back({static_cast<float>(score), rng.chance(score * score)});
    }
    return made;
}

TEST(Calibration, MakesScoresProbabilities) {
    const Calibration fitted = fit_calibration(answers(20'000, 3), 1);
    for (const float score : {0.2F, 0.4F, 0.6F, 0.8F, 0.95F}) {
        EXPECT_NEAR(fitted.probability(score), score * score, 0.06) << score;
    }
    EXPECT_LT(fitted.error, 0.02);
    EXPECT_EQ(fitted.examples, 20'000U);
}

TEST(Calibration, WithoutKnotsIsTheScoreItself) {
    EXPECT_FLOAT_EQ(Calibration().probability(0.37F), 0.37F);
}

TEST(Calibration, NeverDescends) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const Calibration fitted = fit_calibration(answers(1 + seed, seed), seed);
        float before = 0;
        for (int i = 0; i <= 100; ++i) {
            const float now = fitted.probability(static_cast<float>(i) / 100);
            ASSERT_GE(now, before) << seed;
            ASSERT_LE(now, 1) << seed;
            before = now;
        }
    }
}

TEST(Calibration, SurvivesItsFile) {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        const Calibration fitted = fit_calibration(answers(5 + 3 * seed, seed), seed);
        const auto again = parse_calibration(to_text(fitted));
        ASSERT_TRUE(again.ok()) << again.error().message;
        ASSERT_EQ(again->examples, fitted.examples);
        for (int i = 0; i <= 50; ++i) {
            const float score = static_cast<float>(i) / 50;
            ASSERT_NEAR(again->probability(score), fitted.probability(score), 1e-6);
        }
    }
}

TEST(Calibration, RefusesFilesThatAreNone) {
    const std::string good = to_text(fit_calibration(answers(100, 1), 1));
    ASSERT_TRUE(parse_calibration(good).ok());
    for (const std::string bad : {
             R"({})",
             R"([1])",
             R"({"drover": "cascade", "version": 2, "knots": [[0, 0]]})",
             R"({"drover": "cascade", "version": 1})",
             R"({"drover": "cascade", "version": 1, "knots": []})",
             R"({"drover": "cascade", "version": 1, "knots": [[0.5, 0.5], [0.4, 0.6]]})",
             R"({"drover": "cascade", "version": 1, "knots": [[0.5, 0.5], [0.6, 0.4]]})",
             R"({"drover": "cascade", "version": 1, "knots": [[0.5, 1.5]]})",
             R"({"drover": "cascade", "version": 1, "knots": [["a", 0.5]]})",
             R"({"drover": "cascade", "version": 1, "knots": [[0.5]]})",
         }) {
        EXPECT_FALSE(parse_calibration(bad).ok()) << bad;
    }
    // Cut off or damaged anywhere: an error or a calibration, never a crash.
    for (std::size_t i = 0; i < good.size() - 2; ++i) {
        EXPECT_FALSE(parse_calibration(good.substr(0, i)).ok());
        std::string damaged = good;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x11);
        (void)parse_calibration(damaged).ok();
    }
}

TEST(Calibration, ReadsScoredAnswers) {
    const auto read = parse_scored_answers(
        "{\"score\": 0.5, \"correct\": true}\n\n{\"confidence\": 1, \"correct\": 0.2}\n");
    ASSERT_TRUE(read.ok());
    ASSERT_EQ(read->size(), 2U);
    EXPECT_TRUE((*read)[0].positive);
    EXPECT_FALSE((*read)[1].positive);
    for (const auto& [bad, words] : {
             std::pair("{\"score\": 0.5, \"correct\": true}\nx", "line 2 is not a JSON object"),
             std::pair("{\"score\": 2, \"correct\": true}", "line 1 has no \"score\""),
             std::pair("{\"score\": 0.2}", "line 1 does not say whether"),
             std::pair("\n", "no answers"),
         }) {
        const auto failed = parse_scored_answers(bad);
        ASSERT_FALSE(failed.ok()) << bad;
        EXPECT_NE(failed.error().message.find(words), std::string::npos) << failed.error().message;
    }
}

}  // namespace
}  // namespace drover::router

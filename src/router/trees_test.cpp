// Trees, and what they learn.
#include "router/trees.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "router/boosting.hpp"

namespace drover::router {
namespace {

/// Asks for measure 0, then for 1 and 2, then for 0 again; its values are the leaves' numbers.
Tree numbered() {
    return {.limits = {0, 0, 0, -5, -5, 5, 5},
            .values = {0, 1, 2, 3, 4, 5, 6, 7},
            .measures = {0, 1, 2, 0, 0, 0, 0, 0}};
}

TEST(Trees, AnswersLeadToAValue) {
    const auto leaf = [](std::array<float, 3> measures) {
        return leaf_of(numbered(), measures);
    };
    EXPECT_EQ(leaf({-9, -1, 0}), 0U);
    EXPECT_EQ(leaf({-1, -1, 1}), 1U);
    EXPECT_EQ(leaf({-1, 1, -1}), 3U);
    EXPECT_EQ(leaf({1, 1, -1}), 4U);
    EXPECT_EQ(leaf({9, 1, 1}), 7U);
    EXPECT_EQ(leaf({0, 0, 0}), 1U);  // what is at a limit is not above it
    const std::vector<Tree> both(2, numbered());
    EXPECT_EQ(sum_of(both, std::array<float, 3>{9, 1, 1}), 14.0F);
}

TEST(Trees, AskForWhatIsThereAlone) {
    EXPECT_TRUE(is_sane(numbered(), 3));
    EXPECT_FALSE(is_sane(numbered(), 2));
    Tree odd = numbered();
    odd.limits[2] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_FALSE(is_sane(odd, 3));
    odd = numbered();
    odd.values[7] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(is_sane(odd, 3));
}

/// Examples whose truth is whether two of their three measures have the same sign.
struct Lessons {
    std::vector<float> rows{};
    std::vector<char> truths{};
    std::vector<float> importance{};

    explicit Lessons(std::size_t examples) : importance(examples, 1.0F) {
        Rng rng(3);
        for (std::size_t i = 0; i < examples; ++i) {
            for (int measure = 0; measure < 3; ++measure) {
                rows.push_back(static_cast<float>(rng.below(2001)) / 1000.0F - 1.0F);
            }
            truths.push_back((rows[3 * i] > 0) == (rows[3 * i + 2] > 0) ? 1 : 0);
        }
    }
    BoostLessons all() const {
        return {.rows = rows, .width = 3, .truths = truths, .importance = importance};
    }
    std::span<const float> row(std::size_t i) const { return std::span(rows).subspan(3 * i, 3); }
};

TEST(Boost, LearnsWhatTwoMeasuresMeanTogether) {
    const Lessons lessons(2000);
    const std::vector<Tree> trees = boost(lessons.all(), {.trees = 100});
    ASSERT_EQ(trees.size(), 100U);
    int right = 0;
    for (std::size_t i = 0; i < 2000; ++i) {
        right += (sum_of(trees, lessons.row(i)) > 0) == (lessons.truths[i] != 0) ? 1 : 0;
    }
    EXPECT_GT(right, 1850);
    for (const Tree& tree : trees) {
        EXPECT_TRUE(is_sane(tree, 3));
    }
}

TEST(Boost, SaysHowOftenItIsSoWhereExamplesAreFew) {
    const Lessons lessons(60);  // no question leaves 40 of them on each side
    double yes = 1;
    for (const char truth : lessons.truths) {
        yes += truth;
    }
    const std::vector<Tree> trees = boost(lessons.all(), {.trees = 1});
    EXPECT_NEAR(sum_of(trees, lessons.row(0)), std::log(yes / (62 - yes)), 0.05);
}

TEST(Boost, CountsExamplesByTheirImportance) {
    Lessons lessons(400);
    for (std::size_t i = 0; i < 400; ++i) {
        lessons.importance[i] = lessons.truths[i] != 0 ? 1.0F : 0.0F;
    }
    EXPECT_GT(sum_of(boost(lessons.all(), {.trees = 5}), lessons.row(0)), 3.0F);
}

TEST(Boost, NeedsNoMeasureThatDiffers) {
    Lessons lessons(200);
    std::fill(lessons.rows.begin(), lessons.rows.end(), 1.0F);
    const std::vector<Tree> trees = boost(lessons.all(), {.trees = 3});
    EXPECT_TRUE(std::isfinite(sum_of(trees, lessons.row(0))));
}

}  // namespace
}  // namespace drover::router

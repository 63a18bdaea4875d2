#include "upstreams/outliers.hpp"

#include <gtest/gtest.h>

namespace drover::upstreams {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{};

void note(Outliers& outliers, std::size_t replica, int outcomes, int fails_each, TimePoint now) {
    for (int i = 1; i <= outcomes; ++i) {
        outliers.note(replica, fails_each > 0 && i % fails_each == 0, now);
    }
}

TEST(Outliers, TheOneThatFailsEveryOtherRequestStandsOut) {
    Outliers outliers({}, 3);
    note(outliers, 0, 20, 2, kStart);
    note(outliers, 1, 20, 0, kStart);
    note(outliers, 2, 20, 10, kStart);
    EXPECT_TRUE(outliers.stands_out(0, {1, 2}));
    EXPECT_FALSE(outliers.stands_out(1, {0, 2}));
    EXPECT_FALSE(outliers.stands_out(2, {0, 1}));
}

TEST(Outliers, NobodyStandsOutWhenAllFail) {
    Outliers outliers({}, 2);
    note(outliers, 0, 20, 2, kStart);
    note(outliers, 1, 20, 2, kStart);
    EXPECT_FALSE(outliers.stands_out(0, {1}));
    EXPECT_FALSE(outliers.stands_out(1, {0}));
}

TEST(Outliers, FewOutcomesSayNothing) {
    Outliers outliers({}, 2);
    note(outliers, 0, 9, 1, kStart);
    note(outliers, 1, 20, 0, kStart);
    EXPECT_FALSE(outliers.stands_out(0, {1}));
    outliers.note(0, true, kStart);
    EXPECT_TRUE(outliers.stands_out(0, {1}));
}

TEST(Outliers, OldFailuresFade) {
    Outliers outliers({}, 2);
    note(outliers, 0, 20, 1, kStart);
    note(outliers, 1, 20, 0, kStart);
    const TimePoint later = kStart + seconds(120);
    note(outliers, 0, 20, 0, later);
    note(outliers, 1, 20, 0, later);
    EXPECT_FALSE(outliers.stands_out(0, {1}));
}

}  // namespace
}  // namespace drover::upstreams

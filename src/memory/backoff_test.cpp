#include "memory/backoff.hpp"

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr TimePoint kStart{};
constexpr Duration kFirst = seconds(1);
constexpr Duration kMax = seconds(60);

TEST(Backoff, LetsTheFirstFailureBeRetriedAtOnce) {
    Backoff backoff;
    EXPECT_EQ(backoff.remaining(kStart), std::nullopt);
    backoff.note_failure(kStart, kFirst, kMax);
    EXPECT_EQ(backoff.remaining(kStart), std::nullopt);
}

TEST(Backoff, DoublesUpToItsMaximum) {
    Backoff backoff;
    backoff.note_failure(kStart, kFirst, kMax);
    for (const int expected : {1, 2, 4, 8, 16, 32, 60, 60}) {
        backoff.note_failure(kStart, kFirst, kMax);
        EXPECT_EQ(backoff.remaining(kStart), seconds(expected));
    }
    EXPECT_EQ(backoff.remaining(kStart + seconds(60)), std::nullopt);
}

TEST(Backoff, EndsWithASuccess) {
    Backoff backoff;
    backoff.note_failure(kStart, kFirst, kMax);
    backoff.note_failure(kStart, kFirst, kMax);
    backoff.note_success();
    EXPECT_EQ(backoff.remaining(kStart), std::nullopt);
    backoff.note_failure(kStart, kFirst, kMax);
    EXPECT_EQ(backoff.remaining(kStart), std::nullopt);
}

TEST(Backoff, SurvivesAnyNumberOfFailures) {
    Backoff backoff;
    for (int i = 0; i < 10'000; ++i) {
        backoff.note_failure(kStart, hours(1), hours(24 * 365));
    }
    EXPECT_EQ(backoff.remaining(kStart), hours(24 * 365));
}

}  // namespace
}  // namespace drover::memory

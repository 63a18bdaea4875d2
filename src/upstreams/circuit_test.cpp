#include "upstreams/circuit.hpp"

#include <gtest/gtest.h>

namespace drover::upstreams {
namespace {

using std::chrono::seconds;

constexpr TimePoint kStart{};

Circuit circuit() {
    return Circuit({.failures = 3, .open_first = seconds(5), .open_max = seconds(15)});
}

void fail(Circuit& one, int times, TimePoint now) {
    for (int i = 0; i < times; ++i) {
        one.fail(one.era(), now);
    }
}

TEST(Circuit, OpensAfterSoManyFailuresInARow) {
    Circuit one = circuit();
    fail(one, 2, kStart);
    EXPECT_EQ(one.state(), CircuitState::closed);
    one.succeed(one.era());
    fail(one, 2, kStart);
    EXPECT_EQ(one.state(), CircuitState::closed);
    fail(one, 1, kStart);
    EXPECT_EQ(one.state(), CircuitState::open);
    EXPECT_EQ(one.half_opens_at(), kStart + seconds(5));
}

TEST(Circuit, ClosesByItselfWhenAProbeSucceeds) {
    Circuit one = circuit();
    fail(one, 3, kStart);
    one.advance(kStart + seconds(4));
    EXPECT_EQ(one.state(), CircuitState::open);
    one.advance(kStart + seconds(5));
    EXPECT_EQ(one.state(), CircuitState::half_open);
    one.decide(true, kStart + seconds(5));
    EXPECT_EQ(one.state(), CircuitState::closed);
}

TEST(Circuit, StaysOpenTwiceAsLongAfterEachFailedProbeUpToABound) {
    Circuit one = circuit();
    TimePoint now = kStart;
    fail(one, 3, now);
    for (const int expected : {5, 10, 15, 15}) {
        EXPECT_EQ(one.half_opens_at() - now, seconds(expected));
        now = one.half_opens_at();
        one.advance(now);
        one.decide(false, now);
    }
}

TEST(Circuit, IsOnProbationAfterAProbe) {
    Circuit one = circuit();
    fail(one, 3, kStart);
    const TimePoint later = kStart + seconds(5);
    one.advance(later);
    one.decide(true, later);
    fail(one, 1, later);
    EXPECT_EQ(one.state(), CircuitState::open);
    EXPECT_EQ(one.half_opens_at(), later + seconds(10));
}

TEST(Circuit, ForgetsItsPastWhenARequestIsServed) {
    Circuit one = circuit();
    fail(one, 3, kStart);
    const TimePoint later = kStart + seconds(5);
    one.advance(later);
    one.decide(true, later);
    one.succeed(one.era());
    fail(one, 2, later);
    EXPECT_EQ(one.state(), CircuitState::closed);
    fail(one, 1, later);
    EXPECT_EQ(one.half_opens_at(), later + seconds(5));
}

TEST(Circuit, HearsNothingOfWhatWasSentBeforeItOpened) {
    Circuit one = circuit();
    const std::uint64_t before = one.era();
    fail(one, 3, kStart);
    const TimePoint later = kStart + seconds(5);
    one.advance(later);
    one.succeed(before);
    EXPECT_EQ(one.state(), CircuitState::half_open);
    one.decide(true, later);
    one.fail(before, later);
    EXPECT_EQ(one.state(), CircuitState::closed);
}

}  // namespace
}  // namespace drover::upstreams

#include "gateway/classifier_circuits.hpp"

#include <chrono>

#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const router::Classifier kTiny{.model = "tiny", .timeout = seconds(2)};

router::Classification in_vain(milliseconds took) {
    return {.failure = "there was no answer", .took = took};
}

router::Classification answer() {
    return {.prediction = router::Prediction(), .took = milliseconds(100)};
}

/// Three time-outs in a row, the last one at `now`.
ClassifierCircuits tired(TimePoint now) {
    ClassifierCircuits circuits;
    for (int i = 0; i < 3; ++i) {
        EXPECT_TRUE(circuits.may_ask(kTiny, now));
        circuits.note(kTiny, in_vain(seconds(2)), now);
    }
    return circuits;
}

TEST(ClassifierCircuits, LeaveAloneWhatTookTooLongThreeTimesInARow) {
    const TimePoint begin{};
    ClassifierCircuits circuits = tired(begin);
    EXPECT_FALSE(circuits.may_ask(kTiny, begin));
    EXPECT_FALSE(circuits.may_ask(kTiny, begin + seconds(9)));
    const router::Classifier other = kTiny;
    EXPECT_TRUE(circuits.may_ask(other, begin));
}

TEST(ClassifierCircuits, LetOneRequestFindOutWhetherItAnswersAgain) {
    const TimePoint later = TimePoint() + seconds(10);
    ClassifierCircuits circuits = tired(TimePoint());
    EXPECT_TRUE(circuits.may_ask(kTiny, later));
    EXPECT_FALSE(circuits.may_ask(kTiny, later + seconds(1)));
    circuits.note(kTiny, answer(), later + seconds(1));
    for (int i = 0; i < 2; ++i) {
        EXPECT_TRUE(circuits.may_ask(kTiny, later + seconds(2)));
        circuits.note(kTiny, in_vain(seconds(2)), later + seconds(2));
    }
    EXPECT_TRUE(circuits.may_ask(kTiny, later + seconds(2)));
}

TEST(ClassifierCircuits, WaitTwiceAsLongEachTimeItDoesNot) {
    TimePoint now{};
    ClassifierCircuits circuits = tired(now);
    for (const seconds rest : {seconds(10),
                               seconds(20),
                               seconds(40),
                               seconds(80),
                               seconds(160),
                               seconds(300),
                               seconds(300)}) {
        EXPECT_FALSE(circuits.may_ask(kTiny, now + rest - milliseconds(1)));
        now += rest;
        EXPECT_TRUE(circuits.may_ask(kTiny, now));
        circuits.note(kTiny, in_vain(seconds(2)), now);
    }
}

TEST(ClassifierCircuits, DoNotMindFailuresThatCostNoTime) {
    ClassifierCircuits circuits;
    for (int i = 0; i < 9; ++i) {
        EXPECT_TRUE(circuits.may_ask(kTiny, TimePoint()));
        circuits.note(kTiny, in_vain(milliseconds(5)), TimePoint());
    }
}

TEST(ClassifierCircuits, AskAgainWhenAProbeFailedAtOnce) {
    const TimePoint later = TimePoint() + seconds(10);
    ClassifierCircuits circuits = tired(TimePoint());
    EXPECT_TRUE(circuits.may_ask(kTiny, later));
    circuits.note(kTiny, in_vain(milliseconds(5)), later);
    EXPECT_TRUE(circuits.may_ask(kTiny, later + kTiny.timeout));
}

}  // namespace
}  // namespace drover::gateway

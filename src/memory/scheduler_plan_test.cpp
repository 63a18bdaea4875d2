// Who loads and who leaves: the planning half of the scheduler.
#include <gtest/gtest.h>

#include "memory/scheduler.hpp"
#include "memory/testing/stage.hpp"

namespace drover::memory {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Stage;

constexpr SchedulerOptions kOptions{.min_residency = seconds(2), .max_wait = seconds(10)};

/// So many GiB, and one of so many places for models: of what a model takes, or of a budget.
Footprint counted(std::int64_t gib, std::int64_t models) {
    Footprint footprint = Stage::gib(gib);
    footprint[kModelCount] = Bytes(models);
    return footprint;
}

/// Room for ten GiB, and `a` and `b` of six each: only one fits.
Stage one_of_two(ModelTraits traits = {}) {
    Stage stage(10, kOptions);
    stage.model("a", 6, traits);
    stage.model("b", 6, traits);
    return stage;
}

TEST(Loads, RunSideBySideWhereTheyFit) {
    Stage stage(10, kOptions);
    stage.model("a", 4);
    stage.model("b", 4);
    stage.model("c", 4);
    EXPECT_EQ(stage.request("a"), "start a");
    EXPECT_EQ(stage.request("b"), "start b");
    EXPECT_EQ(stage.request("c"), "");
}

TEST(Loads, AreNoMoreThanTheNumberOfModelsAllows) {
    Stage stage(counted(10, 2), kOptions);
    for (const char* name : {"a", "b", "c"}) {
        stage.model(name, {{counted(1, 1)}});
    }
    stage.warm("a");
    stage.warm("b");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("c"), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start c");
}

TEST(Loads, DoNotCountModelsAsleep) {
    Stage stage(counted(10, 1), kOptions);
    for (const char* name : {"a", "b"}) {
        stage.model(name, {{.footprint = counted(2, 1), .asleep = {Stage::gib(1)}}});
    }
    stage.warm("a");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("b"), "sleep a");
    EXPECT_EQ(stage.asleep("a", 1), "start b");
    stage.ready("b");
    stage.end(2);
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("a"), "sleep b");
    EXPECT_EQ(stage.asleep("b", 1), "wake a");
}

TEST(Loads, OfMoreThanThePinnedOnesLeaveRoomForAreRefused) {
    Stage stage(counted(10, 1), kOptions);
    stage.model("a", {{counted(1, 1)}}, {.pinned = true});
    stage.model("b", {{counted(1, 1)}});
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "refuse 2 never_fits");
    EXPECT_EQ(stage.last_refusal().available[kModelCount], Bytes(0));
}

TEST(Loads, HappenOnceForAllThatWait) {
    Stage stage = one_of_two({.lease_limit = 4});
    stage.request("a");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.ready("a"), "grant 1, grant 2");
}

TEST(Loads, StartOnlyWhenTheBytesAreFree) {
    Stage stage = one_of_two();
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "stop a evicted");
    EXPECT_EQ(stage.held(), 6);
    EXPECT_EQ(stage.gone("a"), "start b");
    EXPECT_EQ(stage.held(), 6);
}

TEST(Loads, GoByPriorityThenByAge) {
    Stage stage(10, kOptions);
    stage.model("a", 10);
    stage.model("old", 5);
    stage.model("urgent", 5, {.priority = 1});
    stage.model("new", 5);
    stage.request("a");
    stage.request("old");
    stage.pass(milliseconds(1));
    stage.request("new");
    stage.request("urgent");
    stage.ready("a");
    stage.end(1);
    EXPECT_EQ(stage.gone("a"), "start urgent, start old");
}

TEST(Loads, OfSmallModelsMayOvertakeABlockedOne) {
    Stage stage(10, kOptions);
    stage.model("a", 6);
    stage.model("large", 8);
    stage.model("small", 3);
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.request("large"), "");
    EXPECT_EQ(stage.request("small"), "start small");
}

TEST(Loads, OvertakeNobodyWhoHasWaitedTooLong) {
    Stage stage(10, kOptions);
    stage.model("a", 6);
    stage.model("large", 8);
    stage.model("small", 3);
    stage.request("a");
    stage.ready("a");
    stage.request("large");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("small"), "");
    EXPECT_EQ(stage.end(1), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start large");
}

TEST(Loads, StillUseWhatTheOneAheadCannot) {
    Stage stage(12, kOptions);
    stage.model("a", 10);
    stage.model("large", 11);
    stage.model("small", 1);
    stage.request("a");
    stage.ready("a");
    stage.request("large");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("small"), "start small");
}

TEST(Loads, DoNotTakeWhatSomebodyAheadEvictedFor) {
    Stage stage(10, kOptions);
    stage.model("a", 6);
    stage.model("b", 8);
    stage.model("small", 4);
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "stop a evicted");
    EXPECT_EQ(stage.request("small"), "");
    EXPECT_EQ(stage.gone("a"), "start b");
}

TEST(Loads, AreLearnedFrom) {
    Stage stage = one_of_two({.queue_limit = 1});
    for (int i = 0; i < 12; ++i) {
        stage.request("a");
        stage.pass(seconds(30));
        stage.ready("a");
        stage.end(static_cast<std::uint64_t>(i) + 1);
        stage.unload("a");
        stage.gone("a");
    }
    stage.request("a");
    EXPECT_EQ(stage.request("a"), "refuse 14 queue_full");
    EXPECT_GT(*stage.last_refusal().retry_after, seconds(29));
}

TEST(Evictions, NeverHitABusyInstance) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.request("b"), "");
    EXPECT_EQ(stage.pass(seconds(9)), "");
    EXPECT_EQ(stage.end(1), "stop a evicted");
}

TEST(Evictions, TakeTheLeastValuableIdleOne) {
    Stage stage(10, kOptions);
    stage.model("often", 4);
    stage.model("other", 1);
    stage.model("seldom", 4);
    stage.model("new", 4);
    stage.warm("often");
    stage.warm("other");
    for (std::uint64_t request = 3; request < 9; request += 2) {
        stage.request("often");
        stage.end(request);
        stage.request("other");
        stage.end(request + 1);
    }
    stage.warm("seldom");
    EXPECT_EQ(stage.request("new"), "stop seldom evicted");
}

TEST(Evictions, TakeRequestsInARowForOneVisit) {
    Stage stage(8, kOptions);
    stage.model("once", 4);
    stage.model("twice", 4);
    stage.model("new", 4);
    stage.warm("twice");
    stage.warm("once");
    stage.request("twice");
    stage.end(3);
    for (std::uint64_t request = 4; request < 20; ++request) {
        stage.request("once");
        stage.end(request);
    }
    // Both were visited twice, "once" after "twice": a long row of requests is one visit.
    EXPECT_EQ(stage.request("new"), "stop twice evicted");
}

TEST(Evictions, KeepAModelForItsOwnMinResidencyAlsoWhenNobodyUsesIt) {
    Stage stage(4, kOptions);
    stage.model("stays", 4, {.min_residency = seconds(5)});
    stage.model("new", 4);
    stage.warm("stays");
    stage.pass(seconds(4));
    EXPECT_EQ(stage.request("new"), "");
    EXPECT_EQ(stage.pass(milliseconds(999)), "");
    EXPECT_EQ(stage.pass(milliseconds(1)), "stop stays evicted");
}

TEST(Evictions, SpareHigherPriorities) {
    Stage stage(10, kOptions);
    stage.model("important", 4, {.priority = 1});
    stage.model("often", 4);
    stage.model("new", 4);
    stage.warm("important");
    stage.warm("often");
    stage.request("often");
    stage.end(3);
    EXPECT_EQ(stage.request("new"), "stop often evicted");
}

TEST(Evictions, SparePinnedOnes) {
    Stage stage(10, kOptions);
    stage.model("pinned", 4, {.pinned = true});
    stage.model("a", 4);
    stage.model("b", 6);
    stage.warm("pinned");
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "stop a evicted");
}

TEST(Evictions, DoNotHappenWhenTheyWouldNotMakeRoom) {
    Stage stage(10, kOptions);
    stage.model("busy", 4);
    stage.model("idle", 4);
    stage.model("large", 8);
    stage.request("busy");
    stage.ready("busy");
    stage.warm("idle");
    EXPECT_EQ(stage.request("large"), "");
    EXPECT_EQ(stage.pass(seconds(60)), "");  // not even when it is owed memory: `idle` stays in use
    EXPECT_EQ(stage.request("idle"), "grant 4");
    EXPECT_EQ(stage.end(4), "");
    EXPECT_EQ(stage.end(1), "stop busy evicted, stop idle evicted");
}

TEST(Evictions, CountWhatIsLeavingAlready) {
    Stage stage(10, kOptions);
    stage.model("a", 4);
    stage.model("b", 4);
    stage.model("large", 6);
    stage.warm("a");
    stage.warm("b");
    EXPECT_EQ(stage.unload("b"), "stop b unloaded");
    EXPECT_EQ(stage.request("large"), "");
    EXPECT_EQ(stage.gone("b"), "start large");
}

TEST(Residency, ProtectsTheYoungBetweenTwoRequests) {
    Stage stage = one_of_two({.load_time = seconds(16)});
    stage.request("a");
    stage.pass(seconds(16));
    stage.ready("a");
    stage.request("b");
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.pass(milliseconds(999)), "");
    EXPECT_EQ(stage.request("a"), "grant 3");
    stage.pass(milliseconds(600));
    EXPECT_EQ(stage.end(3), "");
    EXPECT_EQ(stage.pass(milliseconds(400)), "");
    EXPECT_EQ(stage.pass(milliseconds(1)), "stop a evicted");
}

TEST(Residency, EndsEarlyWhenNobodyUsesTheInstance) {
    Stage stage = one_of_two({.load_time = seconds(16)});
    stage.request("a");
    stage.pass(seconds(16));
    stage.ready("a");
    stage.end(1);
    EXPECT_EQ(stage.request("b"), "");
    EXPECT_EQ(stage.pass(milliseconds(999)), "");
    EXPECT_EQ(stage.pass(milliseconds(1)), "stop a evicted");
}

TEST(Residency, YieldsToWhoHasWaitedTooLong) {
    Stage stage(10, {.min_residency = hours(1), .max_wait = seconds(3)});
    stage.model("a", 6, {.load_time = hours(5)});
    stage.model("b", 6);
    stage.request("a");
    stage.ready("a");
    stage.end(1);
    stage.request("b");
    EXPECT_EQ(stage.pass(milliseconds(2'999)), "");
    EXPECT_EQ(stage.pass(milliseconds(1)), "stop a evicted");
}

TEST(Fairness, RetiresABusyInstanceForWhoHasWaitedTooLong) {
    Stage stage = one_of_two({.lease_limit = 2});
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    stage.pass(seconds(10));
    EXPECT_TRUE(stage.instance("a").retiring);
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.request("a"), "");  // there is room for it, but it came after b
    EXPECT_EQ(stage.end(2), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start b");
    EXPECT_EQ(stage.ready("b"), "grant 3");
    EXPECT_EQ(stage.end(3), "stop b evicted");
    EXPECT_EQ(stage.gone("b"), "start a");
}

TEST(Fairness, LetsARetiringInstanceServeThoseWhoCameBefore) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    stage.request("a");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.end(1), "grant 2");
    EXPECT_EQ(stage.end(2), "stop a evicted");
}

TEST(Fairness, ReturnsToServiceWhenTheOneThatWaitedLeaves) {
    Stage stage = one_of_two({.lease_limit = 2});
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.cancel(2), "grant 3");
    EXPECT_FALSE(stage.instance("a").retiring);
}

TEST(Fairness, RetiresNoMoreThanNeeded) {
    Stage stage(12, kOptions);
    stage.model("a", 4, {.lease_limit = 2});
    stage.model("b", 4, {.lease_limit = 2});
    stage.model("c", 4, {.lease_limit = 2});
    stage.model("d", 4);
    for (const char* name : {"a", "b", "c"}) {
        stage.request(name);
        stage.ready(name);
    }
    stage.request("b");
    stage.request("c");
    stage.request("d");
    stage.pass(seconds(10));
    EXPECT_TRUE(stage.instance("a").retiring);
    EXPECT_FALSE(stage.instance("b").retiring);
    EXPECT_FALSE(stage.instance("c").retiring);
}

TEST(Fairness, RetiresForSeveralThatAreOwedAtOnce) {
    Stage stage(8, kOptions);
    for (const char* name : {"a", "b", "c", "d"}) {
        stage.model(name, 4);
    }
    for (const char* name : {"a", "b"}) {
        stage.request(name);
        stage.ready(name);
    }
    stage.request("c");
    stage.request("d");
    stage.pass(seconds(10));
    EXPECT_TRUE(stage.instance("a").retiring);
    EXPECT_TRUE(stage.instance("b").retiring);
    EXPECT_EQ(stage.end(1), "stop a evicted");
    EXPECT_EQ(stage.end(2), "stop b evicted");
    EXPECT_EQ(stage.gone("b"), "start c");
    EXPECT_EQ(stage.gone("a"), "start d");
}

TEST(Fairness, PutsAgeAboveThePriorityOfOthers) {
    Stage stage(10, kOptions);
    stage.model("a", 10);
    stage.model("low", 10, {.priority = -1});
    stage.model("high", 10, {.priority = 1});
    stage.request("a");
    stage.ready("a");
    stage.request("low");
    stage.pass(seconds(10));
    stage.request("high");
    stage.end(1);
    EXPECT_EQ(stage.gone("a"), "start low");
}

TEST(Fairness, KeepsTheRetiredOutOfUseUntilAllThatIsNeededIsIdle) {
    Stage stage(8, kOptions);
    stage.model("a", 4);
    stage.model("b", 4);
    stage.model("large", 8);
    for (const char* name : {"a", "b"}) {
        stage.request(name);
        stage.ready(name);
    }
    stage.request("large");
    stage.pass(seconds(10));
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.request("a"), "");  // else the two could take turns for ever
    EXPECT_EQ(stage.end(2), "stop a evicted, stop b evicted");
}

TEST(NeverFits, RefusesAtOnceWithTheFigures) {
    Stage stage(10, kOptions);
    stage.model("huge", 11);
    EXPECT_EQ(stage.request("huge"), "refuse 1 never_fits");
    EXPECT_EQ(stage.last_refusal().needed, Stage::gib(11));
    EXPECT_EQ(stage.last_refusal().available, Stage::gib(10));
}

TEST(NeverFits, IsKnownBeforeAskingButForWhatTheModelItselfHasPinned) {
    Stage stage(10, kOptions);
    stage.model("pinned", 4, {.pinned = true});
    stage.model("a", 2);
    EXPECT_EQ(stage.most_for("a"), 10);
    stage.warm("pinned");
    stage.warm("a");
    EXPECT_EQ(stage.most_for("a"), 6);
    EXPECT_EQ(stage.most_for("pinned"), 10);
}

TEST(NeverFits, CountsWhatOtherPinnedModelsHold) {
    Stage stage(10, kOptions);
    stage.model("pinned", 4, {.pinned = true});
    stage.model("a", 7);
    EXPECT_EQ(stage.request("a"), "start a");  // nothing is pinned in memory yet
    stage.ready("a");
    stage.request("pinned");
    EXPECT_EQ(stage.end(1), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start pinned");
    EXPECT_EQ(stage.request("a"), "refuse 3 never_fits");
    EXPECT_EQ(stage.last_refusal().available, Stage::gib(6));
    stage.ready("pinned");
    stage.end(2);
    EXPECT_EQ(stage.unload("pinned"), "stop pinned unloaded");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.gone("pinned"), "start a");
}

TEST(NeverFits, RefusesThoseWhoWaitWhenAPinnedModelMovesIn) {
    Stage stage(10, kOptions);
    stage.model("busy", 10);
    stage.model("a", 7);
    stage.model("pinned", 4, {.pinned = true, .priority = 1});
    stage.request("busy");
    stage.ready("busy");
    stage.request("a");
    stage.request("pinned");
    stage.end(1);
    EXPECT_EQ(stage.gone("busy"), "start pinned, refuse 2 never_fits");
}

TEST(NeverFits, IsAskedAgainWhenTheBudgetShrinks) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    EXPECT_EQ(stage.budget(5), "refuse 2 never_fits");
}

TEST(NeverFits, IsAskedAgainWhenTheModelChanges) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    EXPECT_EQ(stage.model("b", 4), "start b");
    stage.gone("b");
    EXPECT_EQ(stage.model("b", 40), "");
    EXPECT_EQ(stage.request("b"), "refuse 3 never_fits");
}

TEST(NeverFits, BelievesAMeasurementMoreThanTheEstimate) {
    Stage stage = one_of_two();
    stage.request("a");
    EXPECT_EQ(stage.ready("a", 11), "grant 1");
    EXPECT_EQ(stage.end(1), "stop a shrunk");
    stage.gone("a");
    EXPECT_EQ(stage.request("a"), "refuse 2 never_fits");
    EXPECT_EQ(stage.last_refusal().needed, Stage::gib(11));
    stage.model("a", 6);
    EXPECT_EQ(stage.request("a"), "start a");
}

TEST(Budget, EvictsIdleInstancesWhenItShrinks) {
    Stage stage(10, kOptions);
    stage.model("a", 4);
    stage.model("b", 4);
    stage.warm("a");
    stage.warm("b");
    stage.request("b");
    stage.end(3);
    EXPECT_EQ(stage.budget(7), "stop a shrunk");
    EXPECT_EQ(stage.gone("a"), "");
    EXPECT_EQ(stage.budget(3), "stop b shrunk");
}

TEST(Budget, RetiresBusyOnesAndBreaksOffLoadsWhenIdleOnesAreNotEnough) {
    Stage stage(12, kOptions);
    stage.model("busy", 4, {.lease_limit = 2});
    stage.model("idle", 4);
    stage.model("loading", 4);
    stage.request("busy");
    stage.ready("busy");
    stage.warm("idle");
    stage.request("loading");
    EXPECT_EQ(stage.budget(3), "stop idle shrunk, stop loading shrunk");
    EXPECT_EQ(stage.request("busy"), "");
    EXPECT_EQ(stage.end(1), "stop busy shrunk");
    stage.gone("idle");
    EXPECT_EQ(stage.gone("loading"), "refuse 3 never_fits");
    EXPECT_EQ(stage.gone("busy"), "refuse 4 never_fits");
}

TEST(Budget, ReturnsBusyOnesToServiceWhenItGrowsAgain) {
    Stage stage(12, kOptions);
    stage.model("a", 6, {.lease_limit = 2});
    stage.request("a");
    stage.ready("a");
    stage.budget(5);
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.budget(12), "grant 2");
}

TEST(Budget, EvictsWhenAnInstanceGrowsBeyondIt) {
    Stage stage(10, kOptions);
    stage.model("a", 4);
    stage.model("b", 4);
    stage.warm("a");
    stage.request("b");
    stage.ready("b");
    EXPECT_EQ(stage.measure("b", 6), "");
    EXPECT_EQ(stage.measure("b", 7), "stop a shrunk");
}

TEST(Budget, LetsAWaitingModelInWhenItGrows) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    stage.request("b");
    EXPECT_EQ(stage.budget(12), "start b");
}

TEST(Budget, LetsAWaitingModelInWhenAnInstanceTakesLessThanReserved) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("b");
    EXPECT_EQ(stage.ready("a", 4), "grant 1, start b");
}

/// Everybody asked at the same moment. The one who came first among those who wait gets the memory
/// that was freed for him, rather than the model that just gave it up.
TEST(Fairness, OfABurstGoesByWhoCameFirst) {
    Stage stage(10, kOptions);
    stage.model("a", 8, {.lease_limit = 1});
    stage.model("b", 8, {.lease_limit = 1});
    stage.request("a");
    stage.request("b");
    stage.request("a");
    stage.ready("a");
    stage.pass(seconds(11));
    EXPECT_EQ(stage.end(1), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start b");
}

TEST(Budget, KeepsPinnedInstancesEvenOverIt) {
    Stage stage(10, kOptions);
    stage.model("pinned", 6, {.pinned = true});
    stage.warm("pinned");
    EXPECT_EQ(stage.budget(5), "");
    EXPECT_EQ(stage.held(), 6);
}

TEST(Budget, KeepsAnInstanceThatIsPinnedAfterItWasToLeave) {
    Stage stage(10, kOptions);
    stage.model("a", 6);
    stage.request("a");
    stage.ready("a");
    stage.budget(5);
    EXPECT_TRUE(stage.instance("a").retiring);
    stage.model("a", 6, {.pinned = true});
    EXPECT_FALSE(stage.instance("a").retiring);
    EXPECT_EQ(stage.end(1), "");
}

TEST(Budget, OfEachDeviceIsItsOwn) {
    Stage stage(Stage::gib({10, 10}), kOptions);
    stage.model("gpu", {{Stage::gib({0, 8})}});
    stage.model("host", 8);
    stage.model("gpu2", {{Stage::gib({0, 8})}});
    EXPECT_EQ(stage.request("gpu"), "start gpu");
    EXPECT_EQ(stage.request("host"), "start host");
    stage.ready("gpu");
    stage.ready("host");
    stage.end(2);
    EXPECT_EQ(stage.request("gpu2"), "");  // evicting `host` would not help
    EXPECT_EQ(stage.end(1), "stop gpu evicted");
}

}  // namespace
}  // namespace drover::memory

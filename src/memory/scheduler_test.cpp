#include "memory/scheduler.hpp"

#include <gtest/gtest.h>

#include "memory/testing/stage.hpp"

namespace drover::memory {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Stage;

constexpr SchedulerOptions kOptions{.min_residency = seconds(2), .max_wait = seconds(10)};

/// Room for ten GiB, and `a` and `b` of six each: only one fits.
Stage one_of_two(ModelTraits traits = {}) {
    Stage stage(10, kOptions);
    stage.model("a", 6, traits);
    stage.model("b", 6, traits);
    return stage;
}

TEST(Grants, WaitForTheLoad) {
    Stage stage = one_of_two();
    EXPECT_EQ(stage.request("a"), "start a");
    EXPECT_EQ(stage.held(), 6);
    EXPECT_EQ(stage.ready("a"), "grant 1");
}

TEST(Grants, ComeAtOnceFromAnInstanceWithRoom) {
    Stage stage = one_of_two({.lease_limit = 2});
    stage.warm("a");
    EXPECT_EQ(stage.request("a"), "grant 2");
    EXPECT_EQ(stage.request("a"), "grant 3");
    EXPECT_EQ(stage.request("a"), "");
}

TEST(Grants, GoInOrderOfArrivalUpToTheLeaseLimit) {
    Stage stage = one_of_two({.lease_limit = 2});
    stage.request("a");
    stage.request("a");
    stage.request("a");
    stage.request("a");
    EXPECT_EQ(stage.ready("a"), "grant 1, grant 2");
    EXPECT_EQ(stage.end(2), "grant 3");
    EXPECT_EQ(stage.end(1), "grant 4");
}

TEST(Grants, FollowARaisedLeaseLimit) {
    Stage stage = one_of_two({.lease_limit = 1});
    stage.warm("a");
    stage.request("a");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.model("a", 6, {.lease_limit = 2}), "grant 3");
    EXPECT_EQ(stage.model("a", 6, {.lease_limit = 1}), "");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.end(2), "");
    EXPECT_EQ(stage.end(3), "grant 4");
}

TEST(Grants, TreatALimitOfZeroAsOne) {
    Stage stage = one_of_two({.lease_limit = 0, .queue_limit = 0});
    EXPECT_EQ(stage.request("a"), "start a");
    EXPECT_EQ(stage.ready("a"), "grant 1");
}

TEST(Grants, IgnoreWhatIsUnknownOrLate) {
    Stage stage = one_of_two();
    EXPECT_EQ(stage.cancel(7), "");
    EXPECT_EQ(stage.end(7), "");
    EXPECT_EQ(stage.feed(InstanceReady{InstanceId{7}, {}}), "");
    EXPECT_EQ(stage.feed(InstanceMeasured{InstanceId{7}, {}}), "");
    EXPECT_EQ(stage.feed(InstanceGone{InstanceId{7}}), "");
    EXPECT_EQ(stage.feed(TimerFired{}), "");
}

TEST(Queue, LosesTheCancelled) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("a");
    EXPECT_EQ(stage.cancel(1), "");
    EXPECT_EQ(stage.waiting("a"), 1U);
    EXPECT_EQ(stage.ready("a"), "grant 2");
}

TEST(Queue, IgnoresACancellationThatCrossedTheGrant) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.cancel(1), "");
    EXPECT_EQ(stage.instance("a").leases, 1U);
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.instance("a").leases, 0U);
}

TEST(Queue, RefusesTheNewestBeyondItsLimit) {
    Stage stage = one_of_two({.queue_limit = 2, .load_time = seconds(7)});
    stage.request("a");
    stage.request("a");
    EXPECT_EQ(stage.request("a"), "refuse 3 queue_full");
    EXPECT_EQ(stage.last_refusal().retry_after, seconds(7));
    EXPECT_EQ(stage.ready("a"), "grant 1");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.request("a"), "refuse 5 queue_full");
}

TEST(Queue, AsksForPatienceByHowLongRequestsTake) {
    Stage stage = one_of_two({.queue_limit = 1});
    stage.warm("a");
    for (std::uint64_t request = 2; request < 40; ++request) {
        stage.request("a");
        stage.pass(seconds(20));
        stage.end(request);
    }
    stage.request("a");
    stage.request("a");
    EXPECT_EQ(stage.request("a"), "refuse 42 queue_full");
    EXPECT_GT(*stage.last_refusal().retry_after, seconds(15));
    EXPECT_LE(*stage.last_refusal().retry_after, seconds(20));
}

TEST(KeepAlive, CountsFromTheEndOfTheLastLease) {
    Stage stage = one_of_two({.keep_alive = seconds(30)});
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.pass(minutes(2)), "");
    stage.end(1);
    EXPECT_EQ(stage.instance("a").expires_at, stage.now() + seconds(30));
    EXPECT_EQ(stage.pass(milliseconds(29'999)), "");
    EXPECT_EQ(stage.pass(milliseconds(1)), "stop a expired");
}

TEST(KeepAlive, IsRestartedByUse) {
    Stage stage = one_of_two({.keep_alive = seconds(30)});
    stage.warm("a");
    stage.pass(seconds(20));
    stage.request("a");
    stage.end(2);
    EXPECT_EQ(stage.pass(seconds(29)), "");
    EXPECT_EQ(stage.pass(seconds(1)), "stop a expired");
}

TEST(KeepAlive, OfZeroStopsAtOnceUnlessSomebodyWaits) {
    Stage stage = one_of_two({.keep_alive = Duration(0)});
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.end(1), "grant 2");
    EXPECT_EQ(stage.end(2), "stop a expired");
}

TEST(KeepAlive, OfNothingStaysForEver) {
    Stage stage = one_of_two({.keep_alive = std::nullopt});
    stage.warm("a");
    EXPECT_EQ(stage.pass(hours(10'000)), "");
    EXPECT_EQ(stage.wake_at(), std::nullopt);
}

TEST(KeepAlive, ComesWithTheRequest) {
    Stage stage = one_of_two({.keep_alive = minutes(5)});
    stage.request("a", KeepAlive(seconds(1)));
    stage.ready("a");
    stage.end(1);
    EXPECT_EQ(stage.pass(seconds(1)), "stop a expired");
    stage.gone("a");
    stage.warm("a");  // the next instance has the model's own again
    EXPECT_EQ(stage.instance("a").expires_at, stage.now() + minutes(5));
    stage.request("a", KeepAlive(std::nullopt));
    stage.end(3);
    EXPECT_EQ(stage.instance("a").expires_at, std::nullopt);
}

TEST(KeepAlive, DoesNotApplyToPinnedModels) {
    Stage stage = one_of_two({.keep_alive = seconds(1), .pinned = true});
    stage.request("a", KeepAlive(Duration(0)));
    stage.ready("a");
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.pass(hours(1)), "");
    EXPECT_EQ(stage.model("a", 6, {.keep_alive = seconds(1)}), "stop a expired");
}

TEST(KeepAlive, MayBeAsLongAsTimeItself) {
    Stage stage = one_of_two({.keep_alive = Duration::max()});
    stage.pass(seconds(5));
    stage.warm("a");
    EXPECT_EQ(stage.pass(hours(1)), "");
}

TEST(Failures, OfALoadRefuseThoseWhoWaitedForIt) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("a");
    EXPECT_EQ(stage.gone("a"), "refuse 1 load_failed, refuse 2 load_failed");
    EXPECT_EQ(stage.held(), 0);
    EXPECT_EQ(stage.last_refusal().retry_after, std::nullopt);
    EXPECT_EQ(stage.request("a"), "start a");
}

// Those of a model that is rarely used added up, whatever it had served and left in between.
TEST(Failures, AreInNoRowWhenAnInstanceServedAndLeftBetweenThem) {
    Stage stage = one_of_two();
    for (int i = 0; i < 10; ++i) {
        stage.request("a");
        EXPECT_EQ(stage.gone("a"), "refuse " + std::to_string(2 * i + 1) + " load_failed");
        stage.warm("a");
        EXPECT_EQ(stage.unload("a"), "stop a unloaded");
        stage.gone("a");
    }
}

TEST(Failures, InARowBackOff) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.gone("a");
    stage.request("a");
    EXPECT_EQ(stage.gone("a"), "refuse 2 load_failed");
    EXPECT_EQ(stage.last_refusal().retry_after, seconds(1));
    EXPECT_EQ(stage.request("a"), "refuse 3 backing_off");
    stage.pass(milliseconds(400));
    stage.request("a");
    EXPECT_EQ(stage.last_refusal().retry_after, milliseconds(600));
    stage.pass(milliseconds(600));
    EXPECT_EQ(stage.request("a"), "start a");
    stage.gone("a");
    EXPECT_EQ(stage.last_refusal().retry_after, seconds(2));
}

TEST(Failures, OfABusyInstanceLeaveItsLeasesToTheirHolders) {
    Stage stage = one_of_two({.lease_limit = 2});
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.gone("a"), "");
    EXPECT_EQ(stage.held(), 0);
    EXPECT_EQ(stage.end(1), "");
    EXPECT_EQ(stage.request("a"), "start a");
    EXPECT_EQ(stage.end(2), "");  // of the old instance
    EXPECT_EQ(stage.ready("a"), "grant 3");
    EXPECT_EQ(stage.instance("a").leases, 1U);
}

TEST(Failures, OfABusyInstanceLoadAgainForThoseWhoWait) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.gone("a"), "start a");
    EXPECT_EQ(stage.ready("a"), "grant 2");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.gone("a"), "");
    EXPECT_EQ(stage.pass(seconds(1)), "start a");
    EXPECT_EQ(stage.ready("a"), "grant 3");
}

// Of 10,000 requests to sixteen models whose engines were killed, 1,500 were refused because their
// model backed off for a second or two.
TEST(Failures, ByCrashesLetRequestsWaitForAShortBackoff) {
    Stage stage = one_of_two();
    stage.request("a");
    for (const int wait : {0, 1, 2, 4, 8}) {
        stage.ready("a");
        EXPECT_EQ(stage.gone("a"), "");
        stage.request("a");
        stage.pass(seconds(wait));
    }
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.gone("a"), "refuse 7 backing_off");
    EXPECT_EQ(stage.last_refusal().retry_after, seconds(16));
    EXPECT_EQ(stage.request("a"), "refuse 8 backing_off");
    stage.pass(seconds(6));
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.pass(seconds(10)), "start a");
}

TEST(Failures, ByCrashesHoldNobodyWhoLeaves) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    stage.gone("a");
    stage.request("a");
    stage.ready("a");
    stage.gone("a");
    EXPECT_EQ(stage.request("a"), "");
    stage.cancel(3);
    EXPECT_EQ(stage.pass(seconds(1)), "");
}

TEST(Failures, AreForgottenOnceAnInstanceHasServed) {
    Stage stage = one_of_two();
    for (std::uint64_t request = 1; request < 5; ++request) {
        EXPECT_EQ(stage.request("a"), "start a");
        stage.ready("a");
        stage.end(request);
        stage.pass(milliseconds(100));
        stage.gone("a");
    }
}

TEST(Failures, AreNotForgottenForALeaseThatEndedWithTheCrash) {
    Stage stage = one_of_two();
    for (std::uint64_t request = 1; request < 3; ++request) {
        EXPECT_EQ(stage.request("a"), "start a");
        stage.ready("a");
        stage.pass(minutes(5));
        stage.end(request);
        stage.gone("a");
    }
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.pass(seconds(1)), "start a");
}

TEST(Failures, ThatAreAskedForDoNotCount) {
    Stage stage = one_of_two();
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(stage.load("a"), "start a");
        EXPECT_EQ(stage.unload("a"), "stop a unloaded");
        EXPECT_EQ(stage.gone("a"), "");
    }
}

TEST(Preload, LoadsWithoutARequest) {
    Stage stage = one_of_two({.keep_alive = seconds(5)});
    EXPECT_EQ(stage.load("a"), "start a");
    EXPECT_EQ(stage.load("a"), "");
    EXPECT_EQ(stage.ready("a"), "");
    EXPECT_EQ(stage.pass(seconds(5)), "stop a expired");
}

TEST(Preload, PushesNobodyOutAndDoesNotWait) {
    Stage stage = one_of_two();
    stage.warm("a");
    EXPECT_EQ(stage.load("b"), "");
    stage.unload("a");
    EXPECT_EQ(stage.gone("a"), "");
}

TEST(Preload, WaitsForWhatIsLeavingAnyway) {
    Stage stage = one_of_two();
    stage.warm("a");
    stage.unload("a");
    EXPECT_EQ(stage.load("b"), "");
    EXPECT_EQ(stage.gone("a"), "start b");
}

TEST(Preload, BringsBackWhatIsStopping) {
    Stage stage = one_of_two();
    stage.warm("a");
    stage.unload("a");
    EXPECT_EQ(stage.load("a"), "");
    EXPECT_EQ(stage.gone("a"), "start a");
}

TEST(Unload, WaitsForTheLeases) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.unload("a"), "");
    EXPECT_EQ(stage.end(1), "stop a unloaded");
}

TEST(Unload, ServesThoseWhoCameBeforeAndLoadsAgainForThoseWhoCameAfter) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.request("a");
    stage.ready("a");
    stage.unload("a");
    EXPECT_EQ(stage.request("a"), "");
    EXPECT_EQ(stage.end(1), "grant 2");
    EXPECT_EQ(stage.end(2), "stop a unloaded");
    EXPECT_EQ(stage.gone("a"), "start a");
    EXPECT_EQ(stage.ready("a"), "grant 3");
}

TEST(Unload, BreaksOffALoadThatNobodyWaitsFor) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.cancel(1);
    EXPECT_EQ(stage.unload("a"), "stop a unloaded");
    EXPECT_EQ(stage.ready("a"), "");  // crossed the stop
    EXPECT_EQ(stage.gone("a"), "");
}

TEST(Unload, WorksOnPinnedModels) {
    Stage stage = one_of_two({.pinned = true});
    stage.warm("a");
    EXPECT_EQ(stage.unload("a"), "stop a unloaded");
}

TEST(Unload, OfWhatIsNotThereDoesNothing) {
    Stage stage = one_of_two();
    EXPECT_EQ(stage.unload("a"), "");
    stage.warm("a");
    stage.unload("a");
    EXPECT_EQ(stage.unload("a"), "");
}

TEST(Drain, RefusesAllAndStopsEachInstanceWhenItsLeasesEnd) {
    Stage stage(14, kOptions);
    stage.model("busy", 4);
    stage.model("idle", 4);
    stage.model("loading", 4, {.pinned = true});
    stage.request("busy");
    stage.ready("busy");
    stage.warm("idle");
    stage.request("loading");
    stage.request("busy");
    EXPECT_EQ(stage.drain(),
              "refuse 4 draining, refuse 3 draining, stop idle draining, stop loading draining");
    EXPECT_EQ(stage.request("idle"), "refuse 5 draining");
    EXPECT_EQ(stage.load("idle"), "");
    EXPECT_EQ(stage.end(1), "stop busy draining");
    for (const char* name : {"busy", "idle", "loading"}) {
        EXPECT_EQ(stage.gone(name), "");
    }
    EXPECT_TRUE(stage.scheduler().instances().empty());
}

TEST(Timer, IsSetOnlyWhenSomethingDependsOnTime) {
    Stage stage = one_of_two();
    stage.request("a");
    stage.ready("a");
    EXPECT_EQ(stage.wake_at(), std::nullopt);
    stage.request("b");
    EXPECT_EQ(stage.wake_at(), stage.now() + seconds(10));
}

TEST(Timer, IsNotMovedByEveryRequest) {
    Stage stage = one_of_two({.keep_alive = seconds(30)});
    stage.warm("a");
    const auto first = stage.wake_at();
    EXPECT_EQ(first, stage.now() + seconds(30));
    stage.pass(seconds(10));
    stage.request("a");
    stage.end(2);
    EXPECT_EQ(stage.wake_at(), first);
    EXPECT_EQ(stage.pass(seconds(29)), "");
    EXPECT_EQ(stage.pass(seconds(1)), "stop a expired");
}

TEST(Timer, MayFireTooEarlyOrForNothing) {
    Stage stage = one_of_two({.keep_alive = seconds(30)});
    stage.warm("a");
    EXPECT_EQ(stage.feed(TimerFired{}), "");
    EXPECT_EQ(stage.wake_at(), stage.now() + seconds(30));
    EXPECT_EQ(stage.pass(seconds(30)), "stop a expired");
}

}  // namespace
}  // namespace drover::memory

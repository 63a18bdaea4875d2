// Instances that sleep instead of leaving: who may, what that frees, and how they come back.
#include <gtest/gtest.h>

#include "memory/scheduler.hpp"
#include "memory/testing/stage.hpp"

namespace drover::memory {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::Stage;

constexpr SchedulerOptions kOptions{.min_residency = seconds(0), .max_wait = seconds(10)};

std::vector<Placement> sleeper(std::int64_t size, std::int64_t kept) {
    return {{.footprint = Stage::gib(size), .asleep = {Stage::gib(kept)}}};
}

/// Room for ten GiB, `a` and `b` of six each, of which one is kept asleep; `a` is resident, idle.
Stage one_of_two() {
    Stage stage(10, kOptions);
    stage.model("a", sleeper(6, 1));
    stage.model("b", sleeper(6, 1));
    stage.warm("a");
    return stage;
}

/// As above, and then `b` was asked for: it is resident and idle, and `a` sleeps.
Stage a_sleeps() {
    Stage stage = one_of_two();
    stage.request("b");
    stage.asleep("a", 1);
    stage.ready("b");
    stage.end(2);
    return stage;
}

TEST(Sleep, TakesThePlaceOfLeavingWhereWhatIsKeptIsNotNeeded) {
    Stage stage = one_of_two();
    EXPECT_EQ(stage.request("b"), "sleep a");
    EXPECT_EQ(stage.held(), 6);
    EXPECT_EQ(stage.asleep("a", 1), "start b");
    EXPECT_EQ(stage.held(), 7);
}

TEST(Sleep, IsNotForThoseWhoseMemoryIsNeededToTheLastByte) {
    Stage stage(10, kOptions);
    stage.model("a", sleeper(6, 1));
    stage.model("b", 10);
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "stop a evicted");
}

TEST(Sleep, IsForTheMoreValuableOnesFirst) {
    Stage stage(10, kOptions);
    stage.model("a", sleeper(4, 1));
    stage.model("b", sleeper(4, 1));
    stage.model("c", 9);
    stage.warm("a");
    stage.warm("b");
    EXPECT_EQ(stage.request("c"), "stop a evicted, sleep b");
}

TEST(Sleep, EndsWithARequest) {
    Stage stage = a_sleeps();
    EXPECT_EQ(stage.request("a"), "sleep b");
    EXPECT_EQ(stage.held(), 7);
    EXPECT_EQ(stage.asleep("b", 1), "wake a");
    EXPECT_EQ(stage.held(), 7);
    EXPECT_EQ(stage.ready("a"), "grant 3");
}

TEST(Sleep, EndsWithALoadAheadOfNeed) {
    Stage stage = a_sleeps();
    stage.unload("b");
    stage.gone("b");
    EXPECT_EQ(stage.load("a"), "wake a");
}

TEST(Sleep, KeepsWhatIsMeasured) {
    Stage stage = one_of_two();
    stage.request("b");
    EXPECT_EQ(stage.asleep("a", 2), "start b");
    EXPECT_EQ(stage.held(), 8);
}

TEST(Sleep, ThatKeepsMoreThanForeseenEndsWhenOthersNeedIt) {
    Stage stage = one_of_two();
    stage.request("b");
    EXPECT_EQ(stage.asleep("a", 5), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start b");
}

TEST(Sleep, EndsWhenTheKeepAliveDoes) {
    Stage stage = a_sleeps();
    stage.request("b");  // goes on, so that its own keep-alive does not end
    EXPECT_EQ(stage.pass(minutes(5)), "stop a expired");
}

TEST(Sleep, DoesNotExpireWhileItsModelIsWaitedFor) {
    Stage stage = a_sleeps();
    stage.pass(minutes(5) - milliseconds(1));
    stage.request("b");
    stage.request("a");
    EXPECT_EQ(stage.pass(seconds(1)), "");
    EXPECT_EQ(stage.end(3), "sleep b");
    EXPECT_EQ(stage.asleep("b", 1), "wake a");
}

TEST(Sleep, IsOverWhenSomebodyUnloadsTheModel) {
    Stage stage = a_sleeps();
    EXPECT_EQ(stage.unload("a"), "stop a unloaded");
}

TEST(Sleep, ThatIsOverGivesBackWhatItsModelClaimed) {
    Stage stage(10, kOptions);
    stage.model("a", sleeper(10, 1));
    stage.model("b", 8);
    stage.model("c", 1);
    stage.warm("a");
    stage.request("b");
    stage.asleep("a", 1);
    stage.ready("b");
    stage.request("a");  // is owed memory after a while, so that nobody overtakes it
    stage.pass(seconds(11));
    EXPECT_EQ(stage.request("c"), "");
    EXPECT_EQ(stage.unload("a"), "stop a unloaded, start c");
}

TEST(Sleep, IsOverOnceBegunWhenSomebodyUnloadsTheModel) {
    Stage stage = one_of_two();
    stage.request("b");
    EXPECT_EQ(stage.unload("a"), "");
    EXPECT_EQ(stage.asleep("a", 1), "stop a unloaded, start b");
}

TEST(Sleep, IsOverInADrain) {
    Stage stage = a_sleeps();
    EXPECT_EQ(stage.drain(), "stop a draining, stop b draining");
}

TEST(Sleep, BegunBeforeADrainEndsInIt) {
    Stage stage = one_of_two();
    stage.request("b");
    EXPECT_EQ(stage.drain(), "refuse 2 draining");
    EXPECT_EQ(stage.asleep("a", 1), "stop a draining");
}

TEST(Sleep, IsOverWhenTheBudgetShrinks) {
    Stage stage = a_sleeps();
    stage.request("b");
    EXPECT_EQ(stage.budget(6), "stop a shrunk");
}

TEST(Sleep, ThatFailsIsAnEviction) {
    Stage stage = one_of_two();
    stage.request("b");
    EXPECT_EQ(stage.gone("a"), "start b");
    EXPECT_EQ(stage.request("a"), "");  // no back-off
}

TEST(Sleep, FromWhichOneDoesNotWakeUpCostsNoRequest) {
    Stage stage = a_sleeps();
    stage.request("a");
    stage.asleep("b", 1);
    EXPECT_EQ(stage.gone("a"), "start a");
    EXPECT_EQ(stage.ready("a"), "grant 3");
    stage.end(3);
    EXPECT_EQ(stage.request("b"), "stop a evicted");  // not tried again
}

TEST(Sleep, ThatEndsByItselfIsNoFailure) {
    Stage stage = a_sleeps();
    EXPECT_EQ(stage.gone("a"), "");
    EXPECT_EQ(stage.request("a"), "sleep b");
}

TEST(Sleep, OfAModelFurtherBackInTheLineEndsWhenThoseAheadNeedItsMemory) {
    Stage stage = a_sleeps();
    stage.model("c", 10);
    stage.request("b");
    stage.request("c");
    stage.pass(milliseconds(1));
    stage.request("a");
    stage.pass(seconds(11));  // c is owed memory: b retires for it
    EXPECT_EQ(stage.end(3), "stop b evicted, stop a evicted");
    EXPECT_EQ(stage.gone("b"), "");
    EXPECT_EQ(stage.gone("a"), "start c");
    EXPECT_EQ(stage.waiting("a"), 1U);
}

TEST(Sleep, OfAModelAheadInTheLineIsNotDisturbedByThoseBehind) {
    Stage stage(10, kOptions);
    stage.model("a", sleeper(9, 3));
    stage.model("b", 6);
    stage.model("c", 2);
    stage.warm("a");
    stage.request("b");
    stage.asleep("a", 3);
    stage.ready("b");
    stage.request("a");  // waits for b
    stage.pass(milliseconds(1));
    EXPECT_EQ(stage.request("c"), "");  // would have to end the sleep of a
}

TEST(Sleep, CountsAwakeningsAsTheCostOfAnEviction) {
    Stage stage(12, kOptions);
    stage.model("a", sleeper(6, 1), {.load_time = seconds(100)});
    stage.model("b", 6, {.keep_alive = minutes(50), .load_time = seconds(50)});
    stage.model("c", 5);
    stage.warm("a");
    stage.warm("b");
    EXPECT_EQ(stage.request("c"), "stop b evicted");  // cheaper to bring back than a
    stage.gone("b");
    stage.ready("c");
    stage.request("b");
    stage.end(3);
    EXPECT_EQ(stage.pass(seconds(11)), "");
    EXPECT_EQ(stage.held(), 11);
}

// On a GPU of ten GiB: `a` and `b` take eight of it and one of host memory each, and keep one of
// the GPU asleep; the other seven of `a` then lie in host memory.

Placement on_gpu(std::initializer_list<std::int64_t> kept) {
    return {.footprint = Stage::gib({1, 8}), .asleep = {Stage::gib(kept)}};
}

Stage on_one_gpu(std::int64_t host) {
    Stage stage(Stage::gib({host, 10}), kOptions);
    stage.model("a", {on_gpu({8, 1})});
    stage.model("b", {on_gpu({1, 1})});
    stage.warm("a");
    return stage;
}

TEST(SleepOnGpus, MovesToHostMemoryWhatIsReservedThereFirst) {
    Stage stage = on_one_gpu(10);
    EXPECT_EQ(stage.request("b"), "sleep a");
    EXPECT_EQ(stage.scheduler().held(), Stage::gib({8, 8}));
    EXPECT_EQ(stage.asleep("a", Stage::gib({8, 1})), "start b");
    EXPECT_EQ(stage.scheduler().held(), Stage::gib({9, 9}));
    EXPECT_EQ(stage.ready("b"), "grant 2");
}

TEST(SleepOnGpus, IsNotForThoseThatFindNoRoomInHostMemory) {
    EXPECT_EQ(on_one_gpu(8).request("b"), "stop a evicted");  // b needs one of the eight
    Stage stage = on_one_gpu(9);
    EXPECT_EQ(stage.request("b"), "sleep a");
}

TEST(SleepOnGpus, IsDeeperWhereHostMemoryHasNoRoomForWhatWouldMove) {
    Stage stage(Stage::gib({8, 10}), kOptions);
    stage.model(
        "a",
        {{.footprint = Stage::gib({1, 8}), .asleep = {Stage::gib({8, 1}), Stage::gib({1, 1})}}});
    stage.model("b", {on_gpu({1, 1})});
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "sleep a in way 1");
    EXPECT_EQ(stage.asleep("a", Stage::gib({1, 1})), "start b");
    EXPECT_EQ(stage.ready("b"), "grant 2");
    EXPECT_EQ(stage.scheduler().held(), Stage::gib({2, 9}));
    stage.end(2);
    EXPECT_EQ(stage.request("a"), "sleep b");
    EXPECT_EQ(stage.asleep("b", Stage::gib({1, 1})), "wake a");
    stage.feed(InstanceReady{stage.instance("a").instance, Stage::gib({1, 8})});
    stage.end(3);
    stage.feed(BudgetChanged{Stage::gib({10, 10})});
    EXPECT_EQ(stage.request("b"), "sleep a");  // what it kept in the other way says nothing of this
}

TEST(SleepOnGpus, EndsWithTheWeightsStillInHostMemory) {
    Stage stage = on_one_gpu(10);
    stage.request("b");
    stage.asleep("a", Stage::gib({8, 1}));
    stage.ready("b");
    stage.end(2);
    EXPECT_EQ(stage.request("a"), "sleep b");
    EXPECT_EQ(stage.asleep("b", Stage::gib({1, 1})), "wake a");
    EXPECT_EQ(stage.scheduler().held(), Stage::gib({9, 9}));
    stage.feed(InstanceReady{stage.instance("a").instance, Stage::gib({1, 8})});
    EXPECT_EQ(stage.scheduler().held(), Stage::gib({2, 9}));
    stage.end(3);
    EXPECT_EQ(stage.request("b"), "sleep a");  // what it moves is no part of what it needs
}

TEST(SleepOnGpus, OfWhichOnlyHostMemoryIsNeededGivesThatBack) {
    Stage stage = on_one_gpu(10);
    stage.model("c", 4);
    stage.request("b");
    stage.asleep("a", Stage::gib({8, 1}));
    stage.ready("b");
    stage.end(2);
    EXPECT_EQ(stage.request("c"), "stop a evicted");
    EXPECT_EQ(stage.gone("a"), "start c");
    EXPECT_EQ(stage.instance("b").held, Stage::gib({1, 8}));
}

TEST(SleepOnGpus, LeavesWhatLiesOnOtherGpusAlone) {
    Stage stage(Stage::gib({30, 10, 10}), kOptions);
    stage.model("a", {on_gpu({8, 1})});
    stage.model("b", {on_gpu({8, 1})});
    stage.model("other", {{.footprint = Stage::gib({1, 0, 8}), .asleep = {Stage::gib({8, 0, 1})}}});
    stage.warm("other");
    stage.warm("a");
    EXPECT_EQ(stage.request("b"), "sleep a");
}

TEST(SleepOnGpus, FromWhichOneDoesNotWakeUpIsNotTriedAgainOnAnyOfThem) {
    Stage stage(Stage::gib({30, 10}), kOptions);
    stage.model(
        "a", {on_gpu({8, 1}), {.footprint = Stage::gib(8), .grade = 1, .asleep = {Stage::gib(2)}}});
    stage.model("b", {on_gpu({8, 1})});
    stage.warm("a");
    stage.request("b");
    stage.asleep("a", Stage::gib({8, 1}));
    stage.ready("b");
    stage.end(2);
    stage.request("a");
    stage.asleep("b", Stage::gib({8, 1}));
    EXPECT_EQ(stage.gone("a"), "start a");
    stage.ready("a");
    stage.end(3);
    EXPECT_EQ(stage.request("b"), "stop a evicted");
}

}  // namespace
}  // namespace drover::memory

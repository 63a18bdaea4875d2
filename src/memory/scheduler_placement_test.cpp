// Which of a model's placements the scheduler takes, and what several devices have to do with each
// other: nothing.
#include <gtest/gtest.h>

#include "memory/testing/stage.hpp"

namespace drover::memory {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Stage;

constexpr SchedulerOptions kOptions{.min_residency = Duration(0), .max_wait = seconds(10)};

/// On either of two GPUs, over both, or half on the host.
std::vector<Placement> anywhere(std::int64_t size) {
    return {{Stage::gib({0, size, 0}), 0},
            {Stage::gib({0, 0, size}), 0},
            {Stage::gib({0, size / 2, size / 2}), 1},
            {Stage::gib({size / 2, size / 2, 0}), 2}};
}

TEST(Placements, TheTightestFitKeepsRoomForLargeModels) {
    Stage stage(Stage::gib({0, 24, 10}), kOptions);
    stage.model("small", anywhere(8));
    stage.model("large", anywhere(20));
    EXPECT_EQ(stage.request("small"), "start small as 1");
    EXPECT_EQ(stage.request("large"), "start large");
}

TEST(Placements, NobodyLeavesWhileAnotherDeviceHasRoom) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    for (const char* name : {"a", "b", "c"}) {
        stage.model(name, anywhere(8));
    }
    EXPECT_EQ(stage.request("a"), "start a");
    stage.ready("a");
    stage.end(1);
    EXPECT_EQ(stage.request("b"), "start b as 1");
    stage.ready("b");
    stage.end(2);
    EXPECT_EQ(stage.request("c"), "stop a evicted");
}

TEST(Placements, OneLeavesWhereLeastIsLost) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    stage.model("dear", anywhere(8), {.load_time = seconds(60)});
    stage.model("cheap", anywhere(8), {.load_time = milliseconds(100)});
    stage.model("next", anywhere(8));
    stage.warm("dear");
    stage.warm("cheap");
    stage.pass(seconds(5));
    EXPECT_EQ(stage.request("next"), "stop cheap evicted");
    EXPECT_EQ(stage.gone("cheap"), "start next as 1");
}

TEST(Placements, AModelOfHigherPriorityIsSparedWhateverItIsWorth) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    stage.model("high", anywhere(8), {.priority = 1, .load_time = milliseconds(1)});
    stage.model("low", anywhere(8), {.priority = -1, .load_time = seconds(60)});
    stage.model("next", anywhere(8));
    stage.warm("high");
    stage.warm("low");
    stage.pass(seconds(5));
    EXPECT_EQ(stage.request("next"), "stop low evicted");
}

TEST(Placements, AWorseGradeIsForModelsThatFitNoBetterOne) {
    Stage stage(Stage::gib({20, 10, 10}), kOptions);
    stage.model("whole", anywhere(10));
    stage.model("split", anywhere(16));
    stage.model("partly", {{Stage::gib({0, 24, 0}), 0}, {Stage::gib({16, 8, 0}), 2}});
    stage.warm("whole");
    stage.pass(seconds(1));
    EXPECT_EQ(stage.instance("whole").placement, 0U);
    EXPECT_EQ(stage.request("split"), "stop whole evicted");  // rather than half of it on the host
    EXPECT_EQ(stage.gone("whole"), "start split as 2");
    stage.ready("split");
    stage.end(2);
    stage.pass(seconds(1));
    EXPECT_EQ(stage.request("partly"), "stop split evicted");
    EXPECT_EQ(stage.gone("split"), "start partly as 1");
}

TEST(Placements, APinnedModelMakesOthersTakeAWorseGrade) {
    Stage stage(Stage::gib({10, 10, 0}), kOptions);
    stage.model("pinned", {{Stage::gib({0, 6, 0})}}, {.pinned = true});
    stage.model("other", {{Stage::gib({0, 8, 0}), 0}, {Stage::gib({4, 4, 0}), 1}});
    stage.warm("pinned");
    EXPECT_EQ(stage.request("other"), "start other as 1");
}

TEST(Placements, ASmallerBudgetMakesOthersTakeAWorseGrade) {
    Stage stage(Stage::gib({10, 10, 0}), kOptions);
    stage.model("a", {{Stage::gib({0, 8, 0}), 0}, {Stage::gib({4, 4, 0}), 1}});
    EXPECT_EQ(stage.budget(Stage::gib({10, 6, 0})), "");
    EXPECT_EQ(stage.request("a"), "start a as 1");
}

TEST(Placements, WhatFitsNowhereIsRefusedWithItsBestPlacement) {
    Stage stage(Stage::gib({4, 10, 10}), kOptions);
    stage.model("a", anywhere(40));
    EXPECT_EQ(stage.request("a"), "refuse 1 never_fits");
    EXPECT_EQ(stage.last_refusal().needed, Stage::gib({0, 40, 0}));
    EXPECT_EQ(stage.last_refusal().available, Stage::gib({4, 10, 10}));
}

TEST(Placements, WhatWasMeasuredCountsForThatPlacementOnly) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    stage.model("a", anywhere(8));
    stage.request("a");
    stage.feed(InstanceReady{stage.instance("a").instance, Stage::gib({0, 12, 0})});
    stage.end(1);
    stage.gone("a");
    EXPECT_EQ(stage.request("a"), "start a as 1");
}

TEST(Devices, OneThatIsFullLeavesTheOthersAlone) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    for (const char* name : {"a1", "b1"}) {
        stage.model(name, {{Stage::gib({0, 8, 0})}});
    }
    for (const char* name : {"a2", "b2"}) {
        stage.model(name, {{Stage::gib({0, 0, 8})}});
    }
    stage.request("a1");
    stage.ready("a1");  // busy
    stage.request("b1");
    stage.pass(seconds(11));  // owed: `a1` retires for it
    EXPECT_TRUE(stage.instance("a1").retiring);
    EXPECT_EQ(stage.request("a2"), "start a2");
    EXPECT_EQ(stage.ready("a2"), "grant 3");
    EXPECT_EQ(stage.end(3), "");
    EXPECT_EQ(stage.request("b2"), "stop a2 evicted");
    EXPECT_EQ(stage.gone("a2"), "start b2");
}

/// A model whose load hangs on one device keeps nobody from loading on another.
TEST(Devices, AnOwedModelThatWaitsForALoadBlocksItsDeviceAlone) {
    Stage stage(Stage::gib({4, 10, 10}), kOptions);
    stage.model("hangs", {{Stage::gib({1, 8, 0})}});
    stage.model("waits", {{Stage::gib({1, 8, 0})}});
    stage.model("other", {{Stage::gib({1, 0, 8})}});
    stage.request("hangs");
    stage.request("waits");
    stage.pass(seconds(11));
    EXPECT_EQ(stage.request("other"), "start other");
}

/// Somebody retired for a waiter on its own device; the waiter left, but another waits elsewhere.
TEST(Devices, WhoIsInNobodysWayReturnsToServiceWhateverElseIsWaitedFor) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    for (const char* name : {"a1", "b1"}) {
        stage.model(name, {{Stage::gib({0, 8, 0})}});
    }
    for (const char* name : {"a2", "b2"}) {
        stage.model(name, {{Stage::gib({0, 0, 8})}});
    }
    for (const char* name : {"a1", "a2"}) {
        stage.request(name);
        stage.ready(name);
    }
    stage.request("b1");
    stage.request("b2");
    stage.pass(seconds(11));
    EXPECT_TRUE(stage.instance("a1").retiring);
    EXPECT_TRUE(stage.instance("a2").retiring);
    stage.cancel(3);
    EXPECT_FALSE(stage.instance("a1").retiring);
    EXPECT_TRUE(stage.instance("a2").retiring);
}

/// Two placements that are each nearly free in turn: it must not wait now for one, now for the
/// other.
TEST(Devices, AnOwedModelStaysWithThePlacementThatItClaimed) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    for (const char* name : {"a1", "b1"}) {
        stage.model(name, {{Stage::gib({0, 5, 0})}}, {.lease_limit = 1});
    }
    for (const char* name : {"a2", "b2"}) {
        stage.model(name, {{Stage::gib({0, 0, 5})}}, {.lease_limit = 1});
    }
    for (const char* name : {"a1", "b1", "a2", "b2"}) {
        stage.request(name);  // 1 to 4
        stage.ready(name);
    }
    stage.model("large", anywhere(10));
    stage.request("large");  // 5
    stage.pass(seconds(11));
    EXPECT_TRUE(stage.instance("a1").retiring && stage.instance("b1").retiring);
    EXPECT_FALSE(stage.instance("a2").retiring || stage.instance("b2").retiring);
    stage.end(3);  // the other device is half free now
    EXPECT_FALSE(stage.instance("a2").retiring || stage.instance("b2").retiring);
    stage.end(1);
    EXPECT_EQ(stage.end(2), "stop a1 evicted, stop b1 evicted");
    stage.gone("a1");
    EXPECT_EQ(stage.gone("b1"), "start large");
}

/// When the claimed device can never hold it any more, it goes elsewhere.
TEST(Devices, AClaimEndsWithTheRoomForIt) {
    Stage stage(Stage::gib({0, 10, 10}), kOptions);
    stage.model("a1", {{Stage::gib({0, 8, 0})}});
    stage.model("a2", {{Stage::gib({0, 0, 8})}});
    for (const char* name : {"a1", "a2"}) {
        stage.request(name);
        stage.ready(name);
    }
    stage.model("large", {{Stage::gib({0, 10, 0}), 0}, {Stage::gib({0, 0, 10}), 0}});
    stage.request("large");
    stage.pass(seconds(11));
    EXPECT_TRUE(stage.instance("a1").retiring);
    stage.budget(Stage::gib({0, 9, 10}));
    EXPECT_FALSE(stage.instance("a1").retiring);
    EXPECT_TRUE(stage.instance("a2").retiring);
}

}  // namespace
}  // namespace drover::memory

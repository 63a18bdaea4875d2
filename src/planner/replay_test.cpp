#include "planner/replay.hpp"

#include <gtest/gtest.h>

namespace drover::planner {
namespace {

using memory::Footprint;
using std::chrono::seconds;

const std::vector<std::string> kNames{"a", "b"};

ReplayModel model(std::int64_t gib) {
    return {.traits = {.placements = {{Footprint::host(1_GiB * gib)}}, .load_time = seconds(2)},
            .first_load = seconds(5)};
}

TEST(Trace, IsReadInAnyOrderWithAndWithoutNamesAndService) {
    const auto arrivals =
        parse_trace("at,model,seconds\n# a comment\n\n2.5,b,3\r\n 1 , a \n", kNames, seconds(7));
    ASSERT_TRUE(arrivals.ok()) << arrivals.error().message;
    ASSERT_EQ(arrivals->size(), 2U);
    EXPECT_EQ(arrivals->at(0).at, seconds(1));
    EXPECT_EQ(arrivals->at(0).model, 0U);
    EXPECT_EQ(arrivals->at(0).service, seconds(7));
    EXPECT_EQ(arrivals->at(1).at, std::chrono::milliseconds(2500));
    EXPECT_EQ(arrivals->at(1).service, seconds(3));
}

TEST(Trace, NamesTheLineThatIsWrong) {
    for (const char* text : {"1,a\n2,c",
                             "1,a\nx,a",
                             "1,a\n2",
                             "1,a\n2,a,x",
                             "1,a\n-1,a",
                             "1,a\n1e30,a",
                             "1,a\nnan,a",
                             "1,a\n2,a,"}) {
        const auto arrivals = parse_trace(text, kNames, seconds(1));
        ASSERT_FALSE(arrivals.ok()) << text;
        EXPECT_EQ(arrivals.error().message.substr(0, 7), "line 2:") << text;
    }
}

TEST(Replay, CountsLoadsAndWaitsOfModelsThatTakeTurns) {
    const std::vector<ReplayModel> models{model(6), model(6)};
    const std::vector<Arrival> arrivals{
        {seconds(0), 0, seconds(1)}, {seconds(100), 1, seconds(1)}, {seconds(200), 0, seconds(1)}};
    const Replay swapping = replay(models, Footprint::host(8_GiB), {}, arrivals);
    EXPECT_EQ(swapping.served, 3U);
    EXPECT_EQ(swapping.loads, 3U);
    EXPECT_EQ(swapping.evictions, 2U);
    EXPECT_EQ(swapping.loading, seconds(5 + 5 + 2));
    EXPECT_EQ(swapping.waited_max, seconds(5) + std::chrono::milliseconds(100));
    ASSERT_EQ(swapping.swaps.size(), 3U);
    EXPECT_EQ(swapping.swaps[2].left, std::vector<std::size_t>{1});
    const Replay together = replay(models, Footprint::host(12_GiB), {}, arrivals);
    EXPECT_EQ(together.loads, 2U);
    EXPECT_EQ(together.evictions, 0U);
    EXPECT_EQ(together.waited_p50, seconds(5));
}

TEST(Replay, RoundsQuantilesUpToTheNearestRank) {
    // Ten requests, of which one waits for the load: 95 of 100 is that one.
    std::vector<Arrival> arrivals;
    for (int i = 0; i < 10; ++i) {
        arrivals.push_back({seconds(10 * i), 0, seconds(1)});
    }
    const Replay outcome = replay({model(1)}, Footprint::host(8_GiB), {}, arrivals);
    EXPECT_EQ(outcome.waited_p95, seconds(5));
    EXPECT_EQ(outcome.waited_p50, seconds(0));
}

TEST(Replay, RefusesWhatNeverFits) {
    const Replay outcome =
        replay({model(9)}, Footprint::host(8_GiB), {}, {{seconds(1), 0, seconds(1)}});
    EXPECT_EQ(outcome.refused, 1U);
    EXPECT_EQ(outcome.loads, 0U);
    EXPECT_EQ(replay({model(9)}, Footprint::host(8_GiB), {}, {}).served, 0U);
}

}  // namespace
}  // namespace drover::planner

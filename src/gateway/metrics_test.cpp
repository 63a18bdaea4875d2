#include "gateway/metrics.hpp"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr TimePoint kBegan{std::chrono::hours(1)};

RequestRecord request(std::string_view model, unsigned status, milliseconds total) {
    return {.method = "POST",
            .path = "/v1/chat/completions",
            .model = model,
            .status = status,
            .began = kBegan,
            .first_byte = kBegan + milliseconds(30),
            .ended = kBegan + total};
}

TEST(Metrics, CountRequestsByModelAndStatus) {
    RequestCounts counts;
    counts.add(request("smol", 200, milliseconds(40)));
    counts.add(request("smol", 200, milliseconds(4000)));
    counts.add(request("smol", 502, milliseconds(400'000)));
    counts.add(request("", 404, milliseconds(1)));
    const std::string text = metrics({}, counts);
    EXPECT_THAT(text, HasSubstr("# TYPE drover_requests_total counter\n"));
    EXPECT_THAT(text, HasSubstr("drover_requests_total{model=\"smol\",status=\"200\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("drover_requests_total{model=\"smol\",status=\"502\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("drover_requests_total{model=\"\",status=\"404\"} 1\n"));
}

TEST(Metrics, AddUpTimes) {
    RequestCounts counts;
    for (const int total : {40, 4000, 400'000}) {
        counts.add(request("smol", 200, milliseconds(total)));
    }
    const std::string text = metrics({}, counts);
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_bucket{model=\"smol\",le=\"0.025\"} 0\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_bucket{model=\"smol\",le=\"0.05\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_bucket{model=\"smol\",le=\"5\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_bucket{model=\"smol\",le=\"300\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_bucket{model=\"smol\",le=\"+Inf\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_seconds_count{model=\"smol\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("drover_request_first_byte_seconds_sum{model=\"smol\"} 0.09\n"));
    // Nobody waited: there was no lease.
    EXPECT_THAT(text, HasSubstr("drover_request_wait_seconds_count{model=\"smol\"} 0\n"));
}

TEST(Metrics, ShowMemoryAndConversations) {
    control::FleetView fleet;
    fleet.budget.push_back({.device = "GPU 0", .bytes = Bytes(1000), .held = Bytes(400)});
    fleet.instances.push_back(
        {.model = "smol", .state = "asleep", .bytes = Bytes(27), .leases = 1});
    fleet.snapshots.hits = 3;
    fleet.snapshots.saved_ms = 1500;
    fleet.queued = 5;
    const std::string text = metrics(fleet, {});
    EXPECT_THAT(text, HasSubstr("drover_memory_budget_bytes{device=\"GPU 0\"} 1000\n"));
    EXPECT_THAT(text, HasSubstr("drover_memory_held_bytes{device=\"GPU 0\"} 400\n"));
    EXPECT_THAT(text, HasSubstr("drover_instance_bytes{model=\"smol\",state=\"asleep\"} 27\n"));
    EXPECT_THAT(text, HasSubstr("drover_snapshot_hits_total 3\n"));
    EXPECT_THAT(text, HasSubstr("drover_snapshot_seconds_saved_total 1.5\n"));
    EXPECT_THAT(text, HasSubstr("drover_queued_requests 5\n"));
}

TEST(Metrics, ShowHowBusyOthersSayTheyAre) {
    control::FleetView fleet;
    fleet.instances.push_back({.model = "idle"});
    fleet.instances.push_back(
        {.model = "vllm",
         .load = engines::EngineLoad{.running = 3, .waiting = 2, .cache_used = 0.5}});
    for (const char* url : {"http://a", "http://b"}) {
        fleet.remotes.push_back(
            {.model = "far", .url = url, .state = "closed", .leases = 4, .queued = 7});
    }
    const std::string text = metrics(fleet, {});
    EXPECT_THAT(text, HasSubstr("drover_instance_running_requests{model=\"vllm\"} 3\n"));
    EXPECT_THAT(text, HasSubstr("drover_instance_waiting_requests{model=\"vllm\"} 2\n"));
    EXPECT_THAT(text, HasSubstr("drover_instance_cache_used_ratio{model=\"vllm\"} 0.5\n"));
    EXPECT_THAT(text, Not(HasSubstr("ratio{model=\"idle\"}")));
    EXPECT_THAT(
        text,
        HasSubstr("drover_remote_requests{model=\"far\",url=\"http://b\",circuit=\"closed\"} 4\n"));
    // Those that wait do so for all replicas together.
    EXPECT_THAT(text,
                HasSubstr("requests gauge\ndrover_remote_queued_requests{model=\"far\"} 7\n"));
    EXPECT_THAT(text, Not(HasSubstr("7\ndrover_remote_queued_requests")));
}

TEST(Metrics, EscapeNames) {
    control::FleetView fleet;
    fleet.instances.push_back({.model = "a\"b\\c\nd"});
    const std::string text = metrics(fleet, {});
    EXPECT_THAT(text, HasSubstr(R"(model="a\"b\\c\nd")"));
    EXPECT_THAT(text, Not(HasSubstr("c\nd")));
}

}  // namespace
}  // namespace drover::gateway

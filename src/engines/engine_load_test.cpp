#include "engines/engine_load.hpp"

#include <gtest/gtest.h>

namespace drover::engines {
namespace {

TEST(EngineLoad, IsReadFromVllmsMetrics) {
    const auto load = read_vllm_load(
        "# HELP vllm:num_requests_running Number of requests in model execution batches.\n"
        "# TYPE vllm:num_requests_running gauge\n"
        "vllm:num_requests_running{engine=\"0\",model_name=\"a b\"} 12.0\n"
        "vllm:num_requests_waiting{engine=\"0\",model_name=\"a b\"} 3.0\n"
        "vllm:num_requests_waiting_by_reason{reason=\"capacity\"} 99.0\n"
        "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"a b\"} 0.875\n"
        "vllm:prompt_tokens_total{engine=\"0\",model_name=\"a b\"} 4000.0\n"
        "vllm:request_prefill_time_seconds_sum{engine=\"0\",model_name=\"a b\"} 0.5\n");
    ASSERT_TRUE(load.has_value());
    EXPECT_EQ(load->running, 12U);
    EXPECT_EQ(load->waiting, 3U);
    EXPECT_EQ(load->cache_used, 0.875);
    EXPECT_EQ(load->prompt_tokens, 4000.0);
    EXPECT_EQ(load->prefill_seconds, 0.5);
}

TEST(EngineLoad, OfSeveralCoresIsTheSumAndTheFullestCache) {
    const auto load = read_vllm_load(
        "vllm:num_requests_running{engine=\"0\"} 1\n"
        "vllm:num_requests_running{engine=\"1\"} 2\n"
        "vllm:gpu_cache_usage_perc{engine=\"0\"} 0.5\n"
        "vllm:gpu_cache_usage_perc{engine=\"1\"} 0.25\n");
    ASSERT_TRUE(load.has_value());
    EXPECT_EQ(load->running, 3U);
    EXPECT_EQ(load->cache_used, 0.5);
}

TEST(EngineLoad, IsUnknownWhereNothingSaysIt) {
    EXPECT_FALSE(read_vllm_load("").has_value());
    EXPECT_FALSE(read_vllm_load("{\"fake\":true}").has_value());
    EXPECT_FALSE(
        read_vllm_load("vllm:num_requests_running NaN\nvllm:kv_cache_usage_perc 1").has_value());
    EXPECT_EQ(read_vllm_load("vllm:num_requests_waiting 1e300")->waiting, 1'000'000U);
}

}  // namespace
}  // namespace drover::engines

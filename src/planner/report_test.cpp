#include "planner/report.hpp"

#include <gtest/gtest.h>

#include "planner/model_spec.hpp"

namespace drover::planner {
namespace {

Plan plan(const std::vector<std::string>& specs, Bytes budget) {
    std::vector<Wanted> wanted;
    for (const std::string& spec : specs) {
        wanted.push_back({.name = spec, .facts = facts_of_spec(spec).value().value()});
    }
    return make_plan(wanted, {}, {.budget = memory::Footprint::host(budget)}).value();
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

TEST(Report, ShowsBarsThatAddUp) {
    const std::string text = to_text(plan({"7b-q4", "1b-q4"}, 64_GiB));
    EXPECT_TRUE(contains(text, "7b-q4     [###")) << text;
    EXPECT_TRUE(contains(text, "All fit together")) << text;
    EXPECT_TRUE(contains(text, "of 64.0 GiB")) << text;
}

TEST(Report, SaysWhatToChangeAndWhatSwapsWhenTheyDoNotFit) {
    const Plan tight = plan({"7b-q4", "8b-q4"}, 10_GiB);
    const std::string text = to_text(tight);
    EXPECT_TRUE(contains(text, "With these settings all would stay in memory")) << text;
    EXPECT_TRUE(contains(text, "7b-q4 loads in ")) << text;
    EXPECT_TRUE(contains(refusal(tight), "They would fit with")) << refusal(tight);
    EXPECT_TRUE(contains(refusal(plan({"405b"}, 10_GiB)), "405b does not even fit alone"));
}

TEST(Report, IsJsonForPrograms) {
    const auto json = to_json(plan({"7b-q4", "8b-q4"}, 10_GiB));
    EXPECT_FALSE(json.at("fits").as_bool());
    EXPECT_EQ(json.at("models").as_array().size(), 2U);
    EXPECT_EQ(json.at("fitting").as_array().size(), 2U);
    EXPECT_GT(json.at("round").at("loading_ms").as_int64(), 0);
}

TEST(Report, ShowsWhatMoreMemoryBuys) {
    const Plan tight = plan({"7b-q4", "8b-q4"}, 10_GiB);
    std::vector<Arrival> arrivals;
    for (std::size_t i = 0; i < 40; ++i) {
        arrivals.push_back({std::chrono::minutes(i), i % 2, std::chrono::seconds(1)});
    }
    const std::vector<Replayed> replayed = replay_with_more(tight, {}, arrivals);
    ASSERT_GE(replayed.size(), 2U);
    EXPECT_EQ(replayed.front().budget, memory::Footprint::host(10_GiB));
    EXPECT_TRUE(tight.total.fits(replayed.back().budget));
    EXPECT_GT(replayed.front().outcome.loads, replayed.back().outcome.loads);
    EXPECT_TRUE(contains(to_text(tight, replayed), "what more memory would buy"));
}

TEST(Report, ShowsEachDeviceAndWhereModelsLie) {
    Machine machine{.budget = memory::Footprint::host(64_GiB), .devices = {"host", "GPU 0"}};
    machine.budget[1] = 24_GiB;
    Wanted wanted{.name = "7b-q4", .facts = facts_of_spec("7b-q4").value().value()};
    wanted.where.gpus = {{1, 24_GiB}};
    wanted.gpu_numbers = {0};
    const Plan planned = make_plan({wanted}, {}, machine).value();
    const std::string text = to_text(planned);
    EXPECT_TRUE(contains(text, "GPU 0\n7b-q4     [")) << text;
    EXPECT_TRUE(contains(text, "WHERE")) << text;
    const auto json = to_json(planned);
    EXPECT_EQ(json.at("models").at(0).at("where").as_string(), "GPU 0");
    EXPECT_EQ(json.at("budgets").at("GPU 0").as_int64(), (24_GiB).count());
    EXPECT_GT(json.at("models").at(0).at("devices").at("GPU 0").as_int64(), 0);
}

}  // namespace
}  // namespace drover::planner

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
    EXPECT_TRUE(contains(refusal(plan({"405b"}, 10_GiB)), "405b does not fit alone, whatever"));
    EXPECT_TRUE(contains(to_text(plan({"30b-q4", "1b"}, 18_GiB)),
                         "30b-q4 does not fit alone; it would with "));
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

TEST(Report, ReplaysWithPinsResidencyAndTheLimitOfModels) {
    const auto seven = facts_of_spec("7b-q4").value().value();
    Wanted pinned{.name = "pinned", .facts = seven, .pinned = true};
    Wanted other{.name = "other", .facts = seven};
    std::vector<Arrival> arrivals;
    for (std::size_t i = 0; i < 10; ++i) {
        arrivals.push_back({std::chrono::minutes(i), i % 2, std::chrono::seconds(1)});
    }
    Machine machine{.budget = memory::Footprint::host(8_GiB)};
    const auto first = [&](const std::vector<Wanted>& wanted) {
        const Plan planned = make_plan(wanted, {}, machine).value();
        return replay_with_more(planned, machine.scheduler, arrivals);
    };
    EXPECT_EQ(first({pinned, other}).front().outcome.refused, 5U);
    pinned.pinned = false;
    const Replay turns = first({pinned, other}).front().outcome;
    EXPECT_EQ(turns.loads, 10U);
    EXPECT_LT(turns.waited_max, machine.scheduler.max_wait);
    pinned.settings.min_residency = std::chrono::minutes(5);
    // Who is owed memory gets it all the same.
    EXPECT_GT(first({pinned, other}).front().outcome.waited_max, machine.scheduler.max_wait);
    pinned.settings.min_residency.reset();
    machine.budget = memory::Footprint::host(64_GiB);
    EXPECT_EQ(first({pinned, other}).back().outcome.loads, 2U);
    machine.models_max = 1;
    // No memory buys places.
    EXPECT_EQ(first({pinned, other}).back().outcome.loads, 10U);
}

TEST(Report, TellsWhatExtraArgumentsTakeUncounted) {
    Wanted wanted{.name = "a", .facts = facts_of_spec("1b-q4").value().value()};
    wanted.settings.extra_args = {"--swa-full"};
    const auto planned =
        make_plan({wanted}, {}, {.budget = memory::Footprint::host(64_GiB)}).value();
    EXPECT_TRUE(contains(to_text(planned), "Note: a: extra_args: what --swa-full takes"));
    EXPECT_EQ(to_json(planned).at("models").at(0).at("notes").as_array().size(), 1U);
}

TEST(Report, SaysThatLoadsAreWholeOnes) {
    EXPECT_TRUE(contains(to_text(plan({"7b-q4", "8b-q4"}, 8_GiB)), "Loads are whole ones"));
}

TEST(Report, ShowsDroversOwnMemoryAndTheLimitOfModels) {
    const std::vector<Wanted> wanted{
        {.name = "a", .facts = facts_of_spec("1b-q4").value().value()},
        {.name = "b", .facts = facts_of_spec("1b-q4").value().value()}};
    const Machine machine{
        .budget = memory::Footprint::host(64_GiB), .own = 48_MiB, .models_max = 1};
    const Plan planned = make_plan(wanted, {}, machine).value();
    EXPECT_TRUE(contains(to_text(planned), "(drover)")) << to_text(planned);
    EXPECT_TRUE(contains(refusal(planned), "memory.max_models lets 1 of 2")) << refusal(planned);
    EXPECT_EQ(to_json(planned).at("own_bytes").as_int64(), (48_MiB).count());
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

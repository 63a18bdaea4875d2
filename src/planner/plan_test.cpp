#include "planner/plan.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "planner/model_spec.hpp"

namespace drover::planner {
namespace {

Wanted wanted(const std::string& spec) {
    const auto facts = facts_of_spec(spec).value().value();
    return {.name = spec,
            .facts = facts,
            .task = facts.pooling ? config::Task::embedding : config::Task::generate};
}

Plan plan(const std::vector<Wanted>& models,
          Bytes budget,
          const config::ModelSettings& defaults = {}) {
    return make_plan(
               models, defaults, {.budget = memory::Footprint::host(budget), .cpu = {.avx2 = true}})
        .value();
}

double gigabytes(Bytes bytes) {
    return static_cast<double>(bytes.count()) / 1e9;
}

TEST(Plan, ReproducesTheExampleOfThe64GigabyteMachine) {
    config::ModelSettings defaults;
    defaults.parallel = 1;
    const Plan planned =
        plan({wanted("30b-q4"), wanted("7b-q4"), wanted("embedding")}, 64_GiB, defaults);
    EXPECT_TRUE(planned.fits);
    EXPECT_NEAR(gigabytes(planned.models[0].bytes), 18, 1.2);
    EXPECT_NEAR(gigabytes(planned.models[1].bytes), 5, 0.5);
    EXPECT_GT(gigabytes(planned.models[2].bytes), 1);
    EXPECT_LT(gigabytes(planned.models[2].bytes), 2.2);
    EXPECT_NEAR(gigabytes(planned.total.total()), 25, 1.5);
    EXPECT_FALSE(planned.fitting.has_value());
    EXPECT_FALSE(planned.round.has_value());
}

TEST(Plan, FollowsTheRuleOfThumbFor70B) {
    config::ModelSettings defaults;
    defaults.parallel = 1;
    EXPECT_NEAR(gigabytes(plan({wanted("70b-q4")}, 64_GiB, defaults).total.total()), 40, 3);
}

TEST(Plan, FindsTheMildestSettingsThatFit) {
    const Plan asked = plan({wanted("7b-q4"), wanted("3b-q4")}, 1024_GiB);
    const Plan tight = plan({wanted("7b-q4"), wanted("3b-q4")}, asked.total.total() - 100_MiB);
    EXPECT_FALSE(tight.fits);
    ASSERT_TRUE(tight.fitting.has_value());
    // The less important one gives up its prompt cache; the other need not.
    EXPECT_TRUE(tight.fitting->at(0).changes.empty());
    EXPECT_EQ(tight.fitting->at(1).changes, std::vector<std::string>{"prompt_cache: 0"});
    EXPECT_LE(tight.fitting->at(0).bytes + tight.fitting->at(1).bytes, tight.budget.total());
}

/// What each of the models that fit gave up.
std::vector<std::vector<std::string>> changes_of(const std::vector<PlannedModel>& models) {
    std::vector<std::vector<std::string>> changes;
    for (const PlannedModel& model : models) {
        changes.push_back(model.changes);
    }
    return changes;
}

/// Quantised to 8 bits all of it fits: no reason to cut its context to a quarter and it to 4 bits.
TEST(Plan, TurnsEachSettingUpAgainAsFarAsThereIsRoom) {
    const Plan planned = plan({wanted("14b-f16"), wanted("embedding")}, Bytes(24'000'000'000));
    ASSERT_TRUE(planned.fitting.has_value());
    EXPECT_EQ(planned.fitting->at(0).quantisation, "Q8_0");
    EXPECT_EQ(planned.fitting->at(0).settings.context, 4096U);
    EXPECT_GT(planned.fitting->at(0).bytes + planned.fitting->at(1).bytes, 16_GiB);
}

TEST(Plan, LetsTheModelsThatAreNamedFirstKeepMost) {
    const Plan planned =
        plan({wanted("30b-q4"), wanted("7b-q4"), wanted("embedding")}, Bytes(22'000'000'000));
    ASSERT_TRUE(planned.fitting.has_value());
    const std::vector<PlannedModel>& models = *planned.fitting;
    EXPECT_EQ(models[0].settings.context, 4096U);
    EXPECT_GE(models[0].settings.context, models[1].settings.context);
    EXPECT_FALSE(models[1].changes.empty());
}

TEST(Plan, NeverProposesTheQuantisationThatAFileHasAlready) {
    // Like Gemma 3: a Q4_K_M whose large table in Q6_K makes it 5.6 bits on the whole.
    Wanted gemma = wanted("1b:q4_k_m");
    gemma.facts.weights.total = Bytes(gemma.facts.weights.total.count() * 115 / 100);
    const Plan alone = plan({gemma}, 64_GiB);
    for (Bytes budget = alone.total.total(); budget > 300_MiB; budget -= 20_MiB) {
        const Plan planned = plan({gemma}, budget);
        if (!planned.fitting.has_value()) {
            continue;
        }
        const PlannedModel& model = planned.fitting->front();
        for (const char* never : {"quantisation Q8_0",
                                  "quantisation Q6_K",
                                  "quantisation Q5_K_M",
                                  "quantisation Q4_K_M"}) {
            EXPECT_EQ(std::count(model.changes.begin(), model.changes.end(), never), 0) << never;
        }
        if (model.quantisation == "Q3_K_M") {
            // Its table stays as large as it was in proportion.
            const Bytes weights = model.size.weights_mapped + model.size.weights_anonymous;
            EXPECT_GT(weights, wanted("1b:q3_k_m").facts.weights.total);
            return;
        }
    }
    FAIL() << "never quantised";
}

TEST(Plan, LeavesDroverItsOwnMemory) {
    const std::vector<Wanted> models{wanted("7b-q4"), wanted("3b-q4")};
    const Bytes together = plan(models, 64_GiB).total.total();
    const auto with_own = [&](Bytes budget) {
        return make_plan(models,
                         {},
                         {.budget = memory::Footprint::host(budget),
                          .own = 48_MiB,
                          .cpu = {.avx2 = true}})
            .value();
    };
    EXPECT_FALSE(with_own(together + 47_MiB).fits);
    EXPECT_TRUE(with_own(together + 48_MiB).fits);
}

TEST(Plan, KnowsHowManyModelsMayBeLoaded) {
    const std::vector<Wanted> models{wanted("1b-q4"), wanted("3b-q4")};
    Machine machine{.budget = memory::Footprint::host(64_GiB), .models_max = 1};
    const Plan planned = make_plan(models, {}, machine).value();
    EXPECT_FALSE(planned.fits);
    EXPECT_FALSE(planned.fitting.has_value());
    ASSERT_TRUE(planned.round.has_value());
    EXPECT_EQ(planned.round->swaps.size(), 2U);
    machine.models_max = 2;
    EXPECT_TRUE(make_plan(models, {}, machine).value().fits);
}

TEST(Plan, OffersSettingsWithWhichEachFitsAloneAndSwapsThose) {
    const Plan planned =
        plan({wanted("30b-q4"), wanted("7b-q4"), wanted("embedding")}, Bytes(20'000'000'000));
    EXPECT_EQ(planned.never, std::vector<std::size_t>{0});
    EXPECT_FALSE(planned.alone.at(0).changes.empty());
    EXPECT_LE(planned.alone.at(0).bytes, planned.budget.total());
    EXPECT_EQ(planned.alone.at(0).settings.context, 4096U);
    EXPECT_TRUE(changes_of({planned.alone.begin() + 1, planned.alone.end()}) ==
                std::vector<std::vector<std::string>>(2));
    ASSERT_TRUE(planned.round.has_value());
    EXPECT_FALSE(planned.round->swaps.empty());
}

TEST(Plan, SaysWhoGetsNoMemoryBesideWhatIsPinned) {
    std::vector<Wanted> models{wanted("7b-q4"), wanted("8b-q4")};
    models[0].pinned = true;
    const Plan planned = plan(models, 8_GiB);
    ASSERT_TRUE(planned.round.has_value());
    EXPECT_EQ(planned.round->refused, std::vector<std::size_t>{1});
}

TEST(Plan, TakesWhatWasMeasuredForTheSettingsThatItWasMeasuredWith) {
    Wanted known = wanted("1b-q4");
    known.measured = [](const engines::ResolvedSettings& settings, const memory::Layout&) {
        return settings.parallel == 2 ? std::optional(Measured{memory::Footprint::host(3_GiB),
                                                               std::chrono::seconds(7)})
                                      : std::nullopt;
    };
    const Plan planned = plan({known}, 64_GiB);
    EXPECT_EQ(planned.total, memory::Footprint::host(3_GiB));
    EXPECT_TRUE(planned.models[0].measured);
    EXPECT_EQ(planned.models[0].load_cached, std::chrono::seconds(7));
    const Plan tight = plan({known}, 2_GiB);
    ASSERT_TRUE(tight.fitting.has_value());
    EXPECT_FALSE(tight.fitting->front().measured);
}

TEST(Plan, LowersContextAndQuantisationLast) {
    const Plan planned = plan({wanted("8b-f16"), wanted("8b-q8")}, 10_GiB);
    ASSERT_TRUE(planned.fitting.has_value());
    EXPECT_LE(planned.fitting->at(0).bytes + planned.fitting->at(1).bytes, 10_GiB);
    const std::vector<std::string>& changes = planned.fitting->at(0).changes;
    EXPECT_EQ(changes.front(), "prompt_cache: 0");
    EXPECT_EQ(changes.back().substr(0, 12), "quantisation");
}

TEST(Plan, SaysWhatSwapsWhenLoadingOnDemand) {
    const Plan planned = plan({wanted("7b-q4"), wanted("8b-q4")}, 8_GiB);
    ASSERT_TRUE(planned.round.has_value());
    ASSERT_EQ(planned.round->swaps.size(), 2U);
    EXPECT_EQ(planned.round->swaps[0].model, 0U);
    EXPECT_EQ(planned.round->swaps[0].left, std::vector<std::size_t>{1});
    EXPECT_EQ(planned.round->loading,
              planned.models[0].load_cached + planned.models[1].load_cached);
}

TEST(Plan, NamesWhatNeverFits) {
    const Plan planned = plan({wanted("1b-q4"), wanted("405b-q8")}, 4_GiB);
    EXPECT_EQ(planned.never, std::vector<std::size_t>{1});
    EXPECT_FALSE(planned.fitting.has_value());
    ASSERT_TRUE(planned.round.has_value());
    EXPECT_TRUE(planned.round->swaps.empty());
}

TEST(Plan, NamesTheModelWhoseSettingsCannotWork) {
    Wanted broken = wanted("1b-q4");
    broken.settings.cache_type_k = "q3";
    const auto planned =
        make_plan({wanted("7b"), broken}, {}, {.budget = memory::Footprint::host(64_GiB)});
    ASSERT_FALSE(planned.ok());
    EXPECT_NE(planned.error().message.find("1b-q4: cache_type_k"), std::string::npos);
    EXPECT_FALSE(make_plan({}, {}, {.budget = memory::Footprint::host(64_GiB)}).ok());
}

/// A workstation with two cards: what fits on one lies there, the large one over both.
TEST(Plan, LaysModelsOutOverSeveralDevices) {
    Machine machine{.budget = memory::Footprint::host(64_GiB),
                    .devices = {"host", "GPU 0", "GPU 1"},
                    .cpu = {.avx2 = true}};
    machine.budget[1] = machine.budget[2] = 21_GiB;
    std::vector<Wanted> models{wanted("30b-q4"), wanted("7b-q4"), wanted("embedding")};
    for (Wanted& one : models) {
        one.where.gpus = {{1, 21_GiB}, {2, 21_GiB}};
        one.gpu_numbers = {0, 1};
    }
    const Plan planned = make_plan(models, {}, machine).value();
    EXPECT_TRUE(planned.fits);
    EXPECT_EQ(planned.models[0].where, "GPU 0");
    EXPECT_EQ(planned.models[1].where, "GPU 1");
    EXPECT_TRUE(planned.total.fits(planned.budget));
    EXPECT_LT(planned.total[0], 10_GiB);
    models[0] = wanted("70b-q4");
    models[0].where = models[1].where;
    models[0].gpu_numbers = {0, 1};
    EXPECT_EQ(make_plan(models, {}, machine).value().models[0].where.substr(0, 11), "GPU 0 and 1");
}

}  // namespace
}  // namespace drover::planner

#include "world.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <sstream>
#include <string>
#include <variant>

#include <gtest/gtest.h>

namespace drover::sim {
namespace {

using std::chrono::seconds;

Summary run(const Scenario& scenario, std::uint64_t seed, std::uint64_t events = UINT64_MAX) {
    return World(scenario, seed).run({.events_max = events});
}

std::string repeat(std::uint64_t seed, std::uint64_t events) {
    return "repeat: drover-sim --seed " + std::to_string(seed) + " --events " +
           std::to_string(events);
}

Duration longest(const std::vector<Duration>& durations) {
    return *std::max_element(durations.begin(), durations.end());
}

TEST(Simulation, KeepsEveryPromiseOverManySeeds) {
    std::uint64_t faults = 0;
    for (std::uint64_t seed = 1; seed <= 120; ++seed) {
        const Summary summary = run(random_scenario(seed), seed, 2'000);
        ASSERT_EQ(summary.violation, "") << repeat(seed, 2'000);
        faults += summary.faults;
    }
    EXPECT_GT(faults, 5'000U);
}

/// The seeds above have machines with several GPUs among them: whole models on one, parts on two,
/// half and all of one on the host.
TEST(Simulation, UsesEveryGradeOfPlacement) {
    std::array<std::uint64_t, 4> loads{};
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        const Scenario scenario = random_scenario(seed);
        World world(scenario, seed);
        world.sabotage = [&](memory::Effects& effects) {
            for (const memory::Effect& effect : effects) {
                if (const auto* start = std::get_if<memory::StartInstance>(&effect)) {
                    const auto& traits = scenario.models[start->model.value - 1].traits;
                    ++loads.at(traits.placements[start->placement].grade);
                }
            }
        };
        ASSERT_EQ(world.run({.events_max = 1'000}).violation, "") << repeat(seed, 1'000);
    }
    EXPECT_GT(*std::min_element(loads.begin(), loads.end()), 0U);
}

TEST(Simulation, GivesTheSameHashForTheSameSeedOnly) {
    const std::uint64_t hash = run(random_scenario(7), 7, 5'000).hash;
    EXPECT_EQ(hash, run(random_scenario(7), 7, 5'000).hash);
    EXPECT_NE(hash, run(random_scenario(7), 8, 5'000).hash);
}

TEST(Simulation, StillPassesTheSeedsThatOnceFailed) {
    std::ifstream file(DROVER_SEEDS);
    ASSERT_TRUE(file.is_open());
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint64_t seed = 0;
        std::uint64_t events = 0;
        if (words >> seed >> events) {
            EXPECT_EQ(run(random_scenario(seed), seed, events).violation, "") << line;
        }
    }
}

/// The others must get their turn within max_wait, the drain of the hot one, and the loads between.
TEST(Simulation, ServesAQueuedModelThoughAHotOneNeverIdles) {
    const Scenario scenario = starving();
    const Summary summary = run(scenario, 3, 50'000);
    ASSERT_EQ(summary.violation, "");
    EXPECT_GT(summary.fares.served, 20'000U);
    EXPECT_LT(longest(summary.fares.waits), scenario.options.max_wait * 2);
}

/// A model that needs everybody gone gets its turn, and so do those who left for it.
TEST(Simulation, BoundsTheWaitOfModelsThatTakeAllOfTheMemory) {
    for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        const Summary summary = run(besieged(seed), seed, 3'000);
        ASSERT_EQ(summary.violation, "")
            << "repeat: drover-sim --scenario besieged --events 3000 --seed " << seed;
        EXPECT_GT(summary.loads, 1U);
    }
}

TEST(Simulation, ServesTheMixedLoadWithFewSwaps) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Summary summary = run(trio(), seed);
        ASSERT_EQ(summary.violation, "");
        EXPECT_EQ(summary.fares.served, 60U);
        EXPECT_LT(summary.fares.last_served.time_since_epoch(), seconds(30)) << seed;
    }
}

TEST(Processor, SharesItsCoresAmongAllJobs) {
    Agenda agenda;
    Processor processor(agenda, 2);
    std::vector<std::pair<char, Duration>> ended;
    const auto note = [&](char name) {
        return [&ended, &agenda, name] {
            ended.emplace_back(name, agenda.now().time_since_epoch());
        };
    };
    processor.run(seconds(2), note('a'));
    processor.run(seconds(2), note('b'));
    const auto dropped = processor.run(seconds(9), note('c'));
    processor.run(seconds(4), note('d'));
    agenda.after(seconds(2), [&] { processor.drop(dropped); });
    while (!agenda.empty()) {
        agenda.step();
    }
    // Half speed for two seconds, then two thirds: a and b have one second left, d has three.
    const std::vector<std::pair<char, Duration>> expected{{'a', std::chrono::milliseconds(3'500)},
                                                          {'b', std::chrono::milliseconds(3'500)},
                                                          {'d', std::chrono::milliseconds(5'500)}};
    ASSERT_EQ(ended.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(ended[i].first, expected[i].first);
        EXPECT_LT(std::chrono::abs(ended[i].second - expected[i].second),
                  std::chrono::microseconds(1));
    }
}

}  // namespace
}  // namespace drover::sim

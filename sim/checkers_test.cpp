// The checks themselves: a scheduler that is made to misbehave must be noticed, each time by the
// promise that it breaks.
#include "checkers.hpp"

#include <algorithm>
#include <array>
#include <variant>

#include <gtest/gtest.h>

#include "world.hpp"

namespace drover::sim {
namespace {

using memory::Effects;
using memory::Event;
using memory::Footprint;
using memory::GrantLease;
using memory::StartInstance;
using memory::StopInstance;
using std::chrono::milliseconds;

/// Enough models for swaps, enough clients for queues, and nothing that goes wrong by itself.
Scenario busy() {
    Scenario scenario = starving();
    scenario.pattern = Pattern::uniform;
    scenario.budget = Footprint::host(2_GiB);
    for (SimModel& model : scenario.models) {
        model.traits.keep_alive = milliseconds(300);
    }
    return scenario;
}

constexpr RunOptions kOptions{.events_max = 3'000, .check_every = 1'000'000};

std::string violation_when(const std::function<void(Effects&)>& sabotage,
                           const Scenario& scenario = busy()) {
    World world(scenario, 1);
    world.sabotage = sabotage;
    return world.run(kOptions).violation;
}

std::string violation_without(const std::function<bool(const Event&)>& keeps) {
    World world(busy(), 1);
    world.intercept = keeps;
    return world.run(kOptions).violation;
}

/// Drops the `nth` effect of a kind.
template <typename Kind>
std::function<void(Effects&)> lose(int nth) {
    return [seen = 0, nth](Effects& effects) mutable {
        std::erase_if(effects, [&](const memory::Effect& effect) {
            return std::holds_alternative<Kind>(effect) && ++seen == nth;
        });
    };
}

/// Changes every effect of a kind.
template <typename Kind, typename Change>
std::function<void(Effects&)> change(Change how) {
    return [how](Effects& effects) {
        for (memory::Effect& effect : effects) {
            if (auto* one = std::get_if<Kind>(&effect)) {
                how(*one);
            }
        }
    };
}

TEST(Checkers, FindNothingWhenNothingIsWrong) {
    EXPECT_EQ(violation_when([](Effects&) {}), "");
}

TEST(Checkers, NoticeALostGrant) {
    EXPECT_EQ(violation_when(lose<GrantLease>(50)), "requests for one model are served in order");
}

TEST(Checkers, NoticeALostRefusal) {
    Scenario scenario = busy();
    scenario.models[0].traits.queue_limit = 1;
    EXPECT_EQ(violation_when(lose<memory::RefuseRequest>(1), scenario), "the queue limit holds");
}

TEST(Checkers, NoticeALostLoad) {
    EXPECT_EQ(violation_when(lose<StartInstance>(4)),
              "every request ends when faults and arrivals stop");
}

TEST(Checkers, NoticeALostStop) {
    Scenario scenario = busy();
    for (SimModel& model : scenario.models) {
        model.traits.keep_alive = std::nullopt;
    }
    EXPECT_EQ(violation_when(lose<StopInstance>(2), scenario),
              "every request ends when faults and arrivals stop");
}

TEST(Checkers, NoticeALostWakeUp) {
    Scenario scenario = busy();
    scenario.clients = 2;
    scenario.think_mean = std::chrono::seconds(1);
    const auto lose_all = [](Effects& effects) {
        std::erase_if(effects, [](const memory::Effect& effect) {
            return std::holds_alternative<memory::WakeAt>(effect);
        });
    };
    EXPECT_EQ(violation_when(lose_all, scenario),
              "the timer is set when something depends on time");
}

/// Two clients share one hot instance; a third model waits behind it and never gets its turn.
TEST(Checkers, NoticeStarvation) {
    Scenario scenario = starving();
    scenario.options.max_wait = std::chrono::hours(10);
    scenario.options.min_residency = std::chrono::hours(10);
    World world(scenario, 1);
    scenario.options = {};
    EXPECT_EQ(world.run({.events_max = 30'000, .wait_bound = scenario.wait_bound()}).violation,
              "waiting is bounded");
}

TEST(Checkers, NoticeARequestThatIsAnsweredTwice) {
    EXPECT_EQ(violation_when([](Effects& effects) {
                  for (const memory::Effect& effect : Effects(effects)) {
                      if (std::holds_alternative<GrantLease>(effect)) {
                          effects.push_back(effect);
                      }
                  }
              }),
              "a request is answered once");
}

TEST(Checkers, NoticeAnAnswerOutOfOrder) {
    EXPECT_EQ(violation_when([](Effects& effects) {
                  GrantLease* last = nullptr;
                  for (memory::Effect& effect : effects) {
                      if (auto* grant = std::get_if<GrantLease>(&effect)) {
                          if (last != nullptr) {
                              std::swap(last->request, grant->request);
                          }
                          last = grant;
                      }
                  }
              }),
              "requests for one model are served in order");
}

TEST(Checkers, NoticeABrokenBudget) {
    EXPECT_EQ(violation_when(change<StartInstance>(
                  [](StartInstance& start) { start.reserved = Footprint::host(3_GiB); })),
              "a load starts only when its bytes are free");
}

TEST(Checkers, NoticeALoadThatReservesTooLittle) {
    EXPECT_EQ(violation_when(change<StartInstance>(
                  [](StartInstance& start) { start.reserved = Footprint::host(1_MiB); })),
              "a load reserves what was estimated");
}

TEST(Checkers, NoticeASecondInstanceOfAModel) {
    EXPECT_EQ(violation_when([](Effects& effects) {
                  for (const memory::Effect& effect : Effects(effects)) {
                      if (const auto* start = std::get_if<StartInstance>(&effect)) {
                          effects.push_back(
                              StartInstance{InstanceId{1'000'000}, start->model, start->reserved});
                      }
                  }
              }),
              "a model has one instance");
}

TEST(Checkers, NoticeAStopOfAnInstanceInUse) {
    EXPECT_EQ(
        violation_when([](Effects& effects) {
            for (const memory::Effect& effect : Effects(effects)) {
                if (const auto* grant = std::get_if<GrantLease>(&effect)) {
                    effects.push_back(StopInstance{grant->instance, memory::StopReason::evicted});
                }
            }
        }),
        "an instance in use is never stopped");
}

TEST(Checkers, NoticeAnEvictionForNothing) {
    EXPECT_EQ(violation_when(change<StopInstance>(
                  [](StopInstance& stop) { stop.reason = memory::StopReason::expired; })),
              "an instance expires only when it was idle for its keep_alive");
    EXPECT_EQ(violation_when(change<StopInstance>(
                  [](StopInstance& stop) { stop.reason = memory::StopReason::shrunk; })),
              "nothing shrinks while the budget holds");
    EXPECT_EQ(violation_when(change<StopInstance>(
                  [](StopInstance& stop) { stop.reason = memory::StopReason::draining; })),
              "nothing drains unless asked");
}

TEST(Checkers, NoticeAWorsePlacementThanNeedBe) {
    Scenario scenario = busy();
    for (SimModel& model : scenario.models) {
        memory::Placement worse = model.traits.placements.front();
        worse.grade = 1;
        model.traits.placements.push_back(worse);
    }
    const auto take_the_worse =
        change<StartInstance>([](StartInstance& start) { start.placement = 1; });
    EXPECT_EQ(violation_when(take_the_worse, scenario),
              "a worse placement is for those that fit into no better one");
    EXPECT_EQ(
        violation_when(change<StartInstance>([](StartInstance& start) { start.placement = 9; }),
                       scenario),
        "a load has one of the model's placements");
}

TEST(Checkers, NoticeMemoryOfAnotherDevice) {
    Scenario scenario = busy();
    scenario.budget[1] = 1_GiB;
    EXPECT_EQ(violation_when(
                  change<StartInstance>([](StartInstance& start) { start.reserved[1] = 1_MiB; }),
                  scenario),
              "a load takes nothing of other devices");
}

/// Somebody waits for a device, and an instance on another one is sent away.
TEST(Checkers, NoticeAnEvictionFromAnotherDevice) {
    Footprint on_gpu;
    on_gpu[1] = 1_GiB;
    Checkers checkers(Footprint::host(1_GiB) + on_gpu);
    const auto tell = [&checkers](const Event& event, const Effects& effects) {
        checkers.before(event, {});
        std::for_each(effects.begin(), effects.end(), [&](const auto& one) { checkers.see(one); });
    };
    const std::array<Footprint, 3> footprints{Footprint::host(1_GiB), on_gpu, on_gpu};
    for (std::uint64_t i = 1; i <= footprints.size(); ++i) {
        tell(memory::ModelDeclared{ModelId{i}, {.placements = {{footprints[i - 1]}}}}, {});
    }
    for (std::uint64_t i = 1; i <= 2; ++i) {
        const InstanceId instance{i};
        tell(memory::RequestArrived{RequestId{i}, ModelId{i}},
             {StartInstance{instance, ModelId{i}, footprints[i - 1]}});
        tell(memory::InstanceReady{instance, footprints[i - 1]},
             {GrantLease{RequestId{i}, instance}});
        tell(memory::LeaseEnded{RequestId{i}}, {});
    }
    tell(memory::RequestArrived{RequestId{3}, ModelId{3}}, {});
    ASSERT_EQ(checkers.violation(), "");
    checkers.see(StopInstance{InstanceId{1}, memory::StopReason::evicted});
    EXPECT_EQ(checkers.violation(), "nobody is evicted from a device that nobody waits for");
}

TEST(Checkers, NoticeAnEvictionOfAPinnedModel) {
    Scenario scenario = busy();
    for (SimModel& model : scenario.models) {
        model.traits.pinned = true;
        model.traits.placements = {{Footprint::host(500_MiB)}};
    }
    EXPECT_EQ(violation_when(
                  [](Effects& effects) {
                      for (const memory::Effect& effect : Effects(effects)) {
                          if (const auto* start = std::get_if<StartInstance>(&effect)) {
                              effects.push_back(
                                  StopInstance{start->instance, memory::StopReason::shrunk});
                          }
                      }
                  },
                  scenario),
              "a pinned model does not leave for a smaller budget");
}

TEST(Checkers, NoticeAnInstanceThatNeverGoes) {
    EXPECT_EQ(violation_without([seen = 0](const Event& event) mutable {
                  return !std::holds_alternative<memory::InstanceGone>(event) || ++seen != 3;
              }),
              "every request ends when faults and arrivals stop");
}

TEST(Checkers, NoticeALeaseThatNeverEnds) {
    EXPECT_EQ(violation_without([seen = 0](const Event& event) mutable {
                  return !std::holds_alternative<memory::LeaseEnded>(event) || ++seen != 500;
              }),
              "a drain ends with no instance left");
}

TEST(Checkers, NoticeASleepThatMovesMoreThanThereIsRoomFor) {
    Scenario scenario = busy();
    scenario.budget = Footprint::host(2_GiB + 1_MiB);
    for (SimModel& model : scenario.models) {
        model.traits.placements.front().asleep = {Footprint::host(1_MiB)};
    }
    EXPECT_EQ(violation_when([](Effects&) {}, scenario), "");
    const auto moves = [](Effects& effects) {
        for (memory::Effect& effect : effects) {
            if (auto* sleep = std::get_if<memory::SleepInstance>(&effect)) {
                sleep->reserved += Footprint::host(2_GiB);
            }
        }
    };
    EXPECT_EQ(violation_when(moves, scenario), "what falls asleep takes only what is free");
}

}  // namespace
}  // namespace drover::sim

#include "world.hpp"

#include <algorithm>
#include <variant>

namespace drover::sim {

using memory::Footprint;

World::World(const Scenario& scenario, std::uint64_t seed)
    : scenario_(scenario),
      rng_(seed),
      faults_(scenario_.faults, rng_),
      processor_(agenda_, scenario_.cores),
      engines_(agenda_,
               processor_,
               rng_,
               faults_,
               scenario_,
               [this](const memory::Event& event) { feed(event); }),
      clients_(agenda_,
               processor_,
               rng_,
               faults_,
               scenario_,
               engines_,
               [this](const memory::Event& event) { feed(event); }),
      checkers_(scenario_.budget),
      scheduler_(scenario_.options, scenario_.budget) {}

Summary World::run(const RunOptions& options) {
    options_ = options;
    for (std::size_t i = 0; i < scenario_.models.size(); ++i) {
        feed(memory::ModelDeclared{ModelId{i + 1}, scenario_.models[i].traits});
    }
    if (options_.wait_bound.has_value()) {
        checkers_.bound_waiting(*options_.wait_bound);
    } else if (scenario_.faults.none()) {
        checkers_.bound_waiting(scenario_.wait_bound());
    }
    clients_.begin();
    while (summary_.events < options_.events_max && !agenda_.empty() &&
           checkers_.violation().empty() && !clients_.done()) {
        agenda_.step();
    }
    if (options_.settle && checkers_.violation().empty()) {
        settle();
    }
    summary_.hash = hash_.value();
    summary_.faults = faults_.happened();
    summary_.fares = clients_.fares();
    summary_.virtual_time = agenda_.now().time_since_epoch();
    summary_.violation = checkers_.violation();
    return std::move(summary_);
}

void World::feed(const memory::Event& event) {
    if (!checkers_.violation().empty() || (intercept && !intercept(event))) {
        return;
    }
    if (std::holds_alternative<memory::RequestArrived>(event)) {
        meddle();
    }
    ++summary_.events;
    hash_.add(agenda_.now());
    hash_.add(event);
    const bool check = options_.check_every != 0;
    if (check) {
        checkers_.before(event, agenda_.now());
    }
    memory::Effects effects = scheduler_.on(event, agenda_.now());
    if (sabotage) {
        sabotage(effects);
    }
    for (const memory::Effect& effect : effects) {
        hash_.add(effect);
        if (check) {
            checkers_.see(effect);
        }
        if (!checkers_.violation().empty()) {
            return;
        }
        std::visit([this](const auto& one) { carry_out(one); }, effect);
    }
    if (check) {
        checkers_.after();
        if (summary_.events % options_.check_every == 0) {
            scheduler_.check_invariants();
        }
    }
}

void World::carry_out(const memory::StartInstance& effect) {
    ++summary_.loads;
    engines_.carry_out(effect);
}

void World::carry_out(const memory::StopInstance& effect) {
    summary_.evictions += effect.reason == memory::StopReason::evicted ? 1 : 0;
    engines_.carry_out(effect);
}

void World::carry_out(const memory::SleepInstance& effect) {
    ++summary_.evictions;
    engines_.carry_out(effect);
}

void World::carry_out(const memory::WakeInstance& effect) {
    ++summary_.wakes;
    engines_.carry_out(effect);
}

void World::carry_out(const memory::GrantLease& effect) {
    clients_.carry_out(effect);
}

void World::carry_out(const memory::RefuseRequest& effect) {
    clients_.carry_out(effect);
}

void World::carry_out(const memory::WakeAt& effect) {
    const Duration wait = std::max(effect.at - agenda_.now(), Duration(0));
    agenda_.after(wait, [this, generation = ++wake_generation_] {
        if (generation == wake_generation_) {
            feed(memory::TimerFired{});
        }
    });
}

/// What people and other programs do to the machine, now and then.
void World::meddle() {
    const auto any = [this] {
        return rng_.below(scenario_.models.size());
    };
    if (faults_.happens(&FaultRates::budget_changes)) {
        feed(memory::BudgetChanged{scaled(scenario_.budget, 0.5 + 0.7 * rng_.unit())});
    }
    if (faults_.happens(&FaultRates::unload)) {
        feed(memory::UnloadRequested{ModelId{any() + 1}});
    }
    if (faults_.happens(&FaultRates::load)) {
        feed(memory::LoadRequested{ModelId{any() + 1}});
    }
    if (faults_.happens(&FaultRates::redeclare)) {
        const std::size_t index = any();
        memory::ModelTraits& traits = scenario_.models[index].traits;
        const double factor = 0.8 + 0.4 * rng_.unit();
        for (memory::Placement& placement : traits.placements) {
            placement.footprint = scaled(placement.footprint, factor);
        }
        traits.pinned = rng_.chance(0.1);
        traits.lease_limit = static_cast<std::uint32_t>(1 + rng_.below(4));
        feed(memory::ModelDeclared{ModelId{index + 1}, traits});
    }
}

bool World::advance(const std::function<bool()>& done, TimePoint deadline) {
    while (!done() && !agenda_.empty() && agenda_.next() <= deadline &&
           checkers_.violation().empty()) {
        agenda_.step();
    }
    return done();
}

// Liveness: without new requests and new faults everything that was begun ends. A load that hangs
// already may go on to the end, one after another for each model.
void World::settle() {
    clients_.fall_silent();
    faults_.stop();
    feed(memory::BudgetChanged{scenario_.budget});
    Duration bound = scenario_.wait_bound();
    for (const SimModel& model : scenario_.models) {
        bound += model.load_time * kHangFactor * 2;
    }
    checkers_.expect(advance([this] { return clients_.under_way() == 0; }, agenda_.now() + bound),
                     "every request ends when faults and arrivals stop");
    feed(memory::DrainStarted{});
    checkers_.expect(advance([this] { return engines_.count() == 0; }, agenda_.now() + bound),
                     "a drain ends with no instance left");
    const Fares& fares = clients_.fares();
    checkers_.expect(
        fares.arrived == fares.served + fares.refused + fares.cancelled + fares.crashed,
        "every request ends exactly once");
}

}  // namespace drover::sim

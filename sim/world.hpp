// A simulated machine around the real scheduler: virtual time, clients, engines, faults, and checks
// after every event. One seed decides everything.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/agenda.hpp"
#include "base/rng.hpp"
#include "checkers.hpp"
#include "clients.hpp"
#include "event_hash.hpp"
#include "faults.hpp"
#include "memory/scheduler.hpp"
#include "processor.hpp"
#include "scenario.hpp"
#include "sim_effects.hpp"

namespace drover::sim {

/// What a run amounted to.
struct Summary {
    std::uint64_t events = 0;
    std::uint64_t hash = 0;  ///< of every event and effect, in order
    std::uint64_t loads = 0, wakes = 0, evictions = 0, faults = 0;
    Fares fares;
    Duration virtual_time{};
    std::string violation;  ///< the first broken promise; empty: none
};

struct RunOptions {
    std::uint64_t events_max = UINT64_MAX;
    /// At the end faults and arrivals stop, and everything that was begun must end within a bound.
    bool settle = true;
    /// Safety is checked after every event; the books of the scheduler, which costs more the more
    /// there are, after every so many. 0: neither.
    std::uint64_t check_every = 1;
    /// Longest that a request may wait. Unset: what the scenario promises, if nothing goes wrong.
    std::optional<Duration> wait_bound{};
};

class World {
  public:
    World(const Scenario& scenario, std::uint64_t seed);

    /// Runs until `events_max` events, or until all clients are done. Use once.
    Summary run(const RunOptions& options);

    /// For tests that prove that the checks can fail: changes the effects before they are seen.
    std::function<void(memory::Effects&)> sabotage;
    /// The same for events: false keeps the event from the scheduler.
    std::function<bool(const memory::Event&)> intercept;

  private:
    void feed(const memory::Event& event);
    void carry_out(const memory::StartInstance& effect);
    void carry_out(const memory::StopInstance& effect);
    void carry_out(const memory::SleepInstance& effect);
    void carry_out(const memory::WakeInstance& effect);
    void carry_out(const memory::GrantLease& effect);
    void carry_out(const memory::RefuseRequest& effect);
    void carry_out(const memory::WakeAt& effect);
    void meddle();
    bool advance(const std::function<bool()>& done, TimePoint deadline);
    void settle();

    Scenario scenario_;
    RunOptions options_;
    Rng rng_;
    Agenda agenda_;
    Faults faults_;
    Processor processor_;
    SimEngines engines_;
    Clients clients_;
    Checkers checkers_;
    memory::Scheduler scheduler_;
    std::uint64_t wake_generation_ = 0;
    EventHash hash_;
    Summary summary_;
};

}  // namespace drover::sim

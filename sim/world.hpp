// A simulated machine around the real scheduler: virtual time, clients, engines that take time to
// load, fail, crash and hang, and checks after every event. One seed decides everything.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "memory/scheduler.hpp"
#include "workload.hpp"

namespace drover::sim {

/// One modelled model.
struct SimModel {
    memory::ModelTraits traits;
    memory::Footprint measured;  ///< what an instance really takes; near the estimate
    Duration serve_mean{};       ///< of one request
};

/// Probabilities of what goes wrong, each at its own occasion.
struct Faults {
    double load_fails = 0;      ///< a load ends in an exit
    double load_hangs = 0;      ///< a load takes 100 times as long
    double crash = 0;           ///< an instance dies while it serves a request
    double client_leaves = 0;   ///< a client gives up, waiting or between grant and receipt
    double budget_changes = 0;  ///< at an arrival: the budget moves by up to a fifth
    double unload = 0;          ///< at an arrival: somebody unloads a model
};

/// Everything that a run is made of.
struct Scenario {
    std::vector<SimModel> models;
    memory::Footprint budget;
    memory::SchedulerOptions options;
    Faults faults;
    Pattern pattern = Pattern::zipf;
    std::size_t clients = 8;
    Duration think_mean{};         ///< between an answer and the next request of a client
    std::size_t requests_max = 0;  ///< then clients fall silent; 0: no limit
};

/// A random scenario: 1 to 24 models, knobs at their extremes now and then.
Scenario random_scenario(std::uint64_t seed);

/// What a run amounted to.
struct Summary {
    std::uint64_t events = 0;
    std::uint64_t hash = 0;  ///< of every event and effect, in order
    std::uint64_t arrived = 0, served = 0, refused = 0, cancelled = 0, crashed = 0;
    std::uint64_t loads = 0, evictions = 0;
    Duration virtual_time{};
    std::vector<Duration> waits;      ///< arrival to grant
    std::vector<Duration> latencies;  ///< arrival to answer
    std::string violation;            ///< the first broken promise; empty: none
};

/// Runs the scheduler in its world. Use once.
class World {
  public:
    World(Scenario scenario, std::uint64_t seed);

    /// Runs until `events_max` scheduler events, or until all clients are done. With `settle`
    /// faults and arrivals then stop, and everything that was begun must end within a bound.
    Summary run(std::uint64_t events_max, bool settle = true);

    /// For tests that prove that the checks can fail: changes the effects before they are carried
    /// out.
    std::function<void(memory::Effects&)> sabotage;

  private:
    enum class Fate {
        waiting,
        granted,
        ended
    };

    struct Request {
        std::size_t client;
        ModelId model;
        TimePoint arrived;
        Fate fate = Fate::waiting;
        InstanceId instance{};
    };

    struct Engine {
        ModelId model;
        bool ready = false;
        bool stopping = false;
        memory::Footprint held;
    };

    struct Happening {
        TimePoint at;
        std::uint64_t order;
        std::function<void()> act;
        bool operator<(const Happening& other) const {
            return at != other.at ? at > other.at : order > other.order;
        }
    };

    void later(Duration delay, std::function<void()> act);
    void feed(const memory::Event& event);
    void carry_out(const memory::StartInstance& effect);
    void carry_out(const memory::StopInstance& effect);
    void carry_out(const memory::GrantLease& effect);
    void carry_out(const memory::RefuseRequest& effect);
    void carry_out(const memory::WakeAt& effect);
    void arrive(std::size_t client);
    void next_request(std::size_t client);
    void crash(InstanceId instance);
    void end_engine(InstanceId instance);
    void end_request(RequestId id, Request& request);
    void step();
    bool step_until(const std::function<bool()>& done, TimePoint deadline);
    void check();
    void settle_down();
    void expect(bool holds, const std::string& promise);
    template <typename... Numbers>
    void note(Numbers... numbers);

    Scenario scenario_;
    Rng rng_;
    memory::Scheduler scheduler_;
    memory::Footprint budget_;
    Workload workload_;
    TimePoint now_{};
    std::priority_queue<Happening> happenings_;
    std::uint64_t order_ = 0;
    std::map<RequestId, Request> requests_;
    std::map<InstanceId, Engine> engines_;
    std::uint64_t wake_generation_ = 0;
    RequestId last_request_{};
    bool quiet_ = false;        ///< no more arrivals, no more faults
    bool may_be_over_ = false;  ///< the budget shrank or an instance grew, and room is being made
    memory::Footprint held_before_;
    Summary summary_;
};

}  // namespace drover::sim

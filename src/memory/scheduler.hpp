// The memory scheduler: who is resident, who waits, who leaves. A pure state machine: events in,
// effects out, no clock, no I/O. Driven by control/ in the server and by sim/ in the simulator.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/backoff.hpp"
#include "memory/effects.hpp"
#include "memory/events.hpp"
#include "memory/eviction.hpp"
#include "memory/footprint.hpp"
#include "memory/ledger.hpp"
#include "memory/usage.hpp"

namespace drover::memory {

/// Knobs of fairness and of failure handling.
struct SchedulerOptions {
    /// A loaded instance is not evicted before this, unless somebody has waited for `max_wait`.
    Duration min_residency = std::chrono::seconds(2);
    /// After waiting this long for memory a request is owed it: the least valuable busy instances
    /// take no new leases and leave when their running ones end, and nobody overtakes.
    Duration max_wait = std::chrono::seconds(10);
    /// After a failed load or a crash: 0 for the first, then doubling from `backoff_first` up to
    /// `backoff_max`, reset by a served request.
    Duration backoff_first = std::chrono::seconds(1);
    Duration backoff_max = std::chrono::minutes(1);
};

//   (none) --StartInstance--> loading --InstanceReady--> ready --StopInstance--> stopping
//                                |                         |                        |
//                                +------InstanceGone-------+------InstanceGone------+--> (none)
// A ready instance may be `retiring`: it takes no new leases and is stopped when it is idle.
enum class InstanceState {
    loading,
    ready,
    stopping
};

/// One instance as seen from outside; for `drover ps`, metrics and invariants.
struct InstanceView {
    InstanceId instance;
    ModelId model;
    InstanceState state;
    bool retiring;
    Footprint held;  ///< charged to the budget
    std::uint32_t leases;
    std::optional<TimePoint> expires_at;  ///< when idle and with a keep_alive that ends
};

/// Decides; never acts. Single-threaded. Every event is answered with effects in the order in which
/// they are to be carried out. Events about ids that are gone are ignored: the world may be late.
class Scheduler {
  public:
    Scheduler(SchedulerOptions options, const Footprint& budget);

    /// Feeds one event. REQUIRES: `now` never goes back; the model of an event was declared. Cost:
    /// O(queue) for a request; O(instances + models that wait) when something must load or leave.
    Effects on(const Event& event, TimePoint now);

    const Footprint& budget() const { return ledger_.budget(); }
    /// Sum of what all instances hold, loading and stopping ones too. Never above the budget,
    /// except after BudgetChanged or a measurement above the estimate, until enough has left.
    const Footprint& held() const { return ledger_.held(); }
    std::vector<InstanceView> instances() const;
    /// The instance of `model`, if there is one.
    std::optional<InstanceView> instance_of(ModelId model) const;
    /// Requests that wait for a lease on `model`; on any model.
    std::size_t waiting(ModelId model) const;
    std::size_t waiting() const { return waiting_; }

    /// Aborts when the book-keeping contradicts itself. For tests and the simulator.
    void check_invariants() const;

  private:
    struct Waiting {
        RequestId request;
        TimePoint since;
        std::optional<KeepAlive> keep_alive;
    };

    /// The order in which models that wait for memory are served.
    struct HungerKey {
        std::int32_t importance;  ///< minus the priority
        TimePoint since;          ///< of the oldest waiting request; max() for a mere LoadRequested
        ModelId model;
        auto operator<=>(const HungerKey&) const = default;
    };

    struct Model {
        ModelTraits traits;
        std::deque<Waiting> queue;
        InstanceId instance{};  ///< 0: not resident
        bool wanted = false;    ///< LoadRequested, not loaded yet
        std::optional<HungerKey> hunger{};
        Backoff backoff;
        Usage usage;
        TimePoint last_used{};
    };

    struct Instance {
        ModelId model;
        InstanceState state = InstanceState::loading;
        std::uint32_t leases = 0;
        std::optional<StopReason> retiring{};
        KeepAlive keep_alive;
        TimePoint ready_since{};
        std::optional<TimePoint> expires_at{};
    };

    struct Request {
        ModelId model;
        InstanceId instance{};  ///< 0: waiting
    };

    enum class Room {
        made,
        coming,
        blocked,
        owed
    };

    void handle(const ModelDeclared& event);
    void handle(const RequestArrived& event);
    void handle(const RequestCancelled& event);
    void handle(const LeaseEnded& event);
    void handle(const InstanceReady& event);
    void handle(const InstanceMeasured& event);
    void handle(const InstanceGone& event);
    void handle(const LoadRequested& event);
    void handle(const UnloadRequested& event);
    void handle(const BudgetChanged& event);
    void handle(const TimerFired& event);
    void handle(const DrainStarted& event);

    void serve(ModelId id, Model& model);
    void grant(const Waiting& waiting, Model& model);
    void become_idle(InstanceId id, Instance& instance);
    void refuse_waiting(Model& model, const RefuseRequest& how);
    void refuse(RequestId request, RefuseRequest how);
    void update_hunger(ModelId id, Model& model);
    void start(ModelId id, Model& model);
    void stop(InstanceId id, StopReason reason);
    void expire();
    void arm_timer();

    // Planning: who loads, who leaves (scheduler_plan.cpp).
    void plan();
    void shrink();
    void unretire();
    Room make_room(const HungerKey& hunger, const Footprint& claimed);
    bool evict_idle(const Footprint& missing, bool even_young);
    void retire(Footprint missing, StopReason reason);
    Footprint pinned_elsewhere(ModelId model) const;
    Candidate candidate(InstanceId id, const Instance& instance) const;
    InstanceView view(InstanceId id, const Instance& instance) const;

    SchedulerOptions options_;
    Ledger ledger_;
    TimePoint now_{};
    Effects effects_;
    std::unordered_map<ModelId, Model> models_;
    std::map<InstanceId, Instance> instances_;  // ordered: iteration decides effects
    std::unordered_map<RequestId, Request> requests_;
    std::set<HungerKey> hungry_;  ///< models with waiting requests, or wanted, and no instance
    std::set<std::pair<TimePoint, InstanceId>> expiries_;
    Footprint leaving_;  ///< held by stopping instances
    std::size_t waiting_ = 0;
    InstanceId last_instance_{};
    bool replan_ = false;  ///< something changed that may let a model load, or make one leave
    bool draining_ = false;
    TimePoint next_check_ = TimePoint::max();  ///< when a blocked model gains new rights
    std::optional<TimePoint> armed_{};         ///< the WakeAt that is out
};

}  // namespace drover::memory

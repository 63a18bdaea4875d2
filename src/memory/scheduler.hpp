// The memory scheduler: who is resident, who waits, who leaves. A pure state machine: events in,
// effects out, no clock, no I/O. Driven by control/ in the server and by sim/ in the simulator.
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <span>
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
#include "memory/instance_view.hpp"
#include "memory/ledger.hpp"
#include "memory/planning_pass.hpp"
#include "memory/policy_selector.hpp"
#include "memory/usage.hpp"
#include "memory/waiting_line.hpp"

namespace drover::memory {

/// Knobs of fairness and of failure handling.
struct SchedulerOptions {
    /// An instance that was loaded is not evicted before this, not even in the short gaps between
    /// requests; it is when nobody has used it for a sixteenth of its load time, or when somebody
    /// is owed memory. Stops ping-pong between models that are both busy.
    Duration min_residency = std::chrono::seconds(2);
    /// After waiting this long for memory a request is owed it: the least valuable busy instances
    /// take no new leases and leave when their running ones end, and nobody overtakes.
    Duration max_wait = std::chrono::seconds(10);
    /// After a failed load or a crash: 0 for the first, then doubling from `backoff_first` up to
    /// `backoff_max`. An instance that served somebody ends the row.
    Duration backoff_first = std::chrono::seconds(1);
    Duration backoff_max = std::chrono::minutes(1);
    /// After a crash, requests wait for the end of a back-off that is not longer than this. For a
    /// longer one, and for a model whose load failed, they are refused at once.
    Duration backoff_patience = std::chrono::seconds(10);
};

/// Decides; never acts. Single-threaded. Every event is answered with effects in the order in which
/// they are to be carried out. Events about ids that are gone are ignored: the world may be late.
class Scheduler {
  public:
    Scheduler(SchedulerOptions options, const Footprint& budget);

    /// Feeds one event. REQUIRES: `now` never goes back; the model of an event was declared. Cost:
    /// O(log n) in models, instances and requests, except that O(instances) are looked at when busy
    /// ones must retire, and everything at a drain and when the budget changes.
    Effects on(const Event& event, TimePoint now);

    const Footprint& budget() const { return ledger_.budget(); }
    /// Sum of what all instances hold, loading and stopping ones too. Never above the budget,
    /// except after BudgetChanged or a measurement above the estimate, until enough has left.
    const Footprint& held() const { return ledger_.held(); }
    std::vector<InstanceView> instances() const;
    /// The eviction policy that fits the traffic best at present.
    EvictionPolicy policy() const { return policies_.current(); }
    /// The instance of `model`, if there is one; it may sleep.
    std::optional<InstanceView> instance_of(ModelId model) const;
    /// The most that an instance of `model` could ever hold: what other models have pinned stays.
    Footprint most_for(ModelId model) const;
    /// Requests that wait for a lease on `model`; on any model.
    std::size_t waiting(ModelId model) const;
    std::size_t waiting() const { return waiting_; }

    /// Aborts when the book-keeping contradicts itself. For tests and the simulator.
    void check_invariants() const;

  private:
    struct Waiting {
        RequestId request;
        std::uint64_t ticket;  ///< counts arrivals over all models
        TimePoint since;
        std::optional<KeepAlive> keep_alive;
    };
    using Queue = std::list<Waiting>;

    struct Model {
        ModelTraits traits;    ///< a placement is as declared, or more when more was measured
        std::size_t last = 0;  ///< the placement that it had last
        Duration load_time{};  ///< as declared, then as seen
        std::map<std::size_t, Duration> wake_times{};  ///< as seen, for each way to sleep
        Queue queue{};
        InstanceId instance{};  ///< 0: none, or one that sleeps
        InstanceId asleep{};    ///< 0: none that sleeps
        bool wanted = false;    ///< LoadRequested, not loaded yet
        std::optional<WaitingLine::Place> place{};
        std::optional<std::size_t> claim{};  ///< the placement that busy instances leave for it
        Backoff backoff{};
        bool load_failed = false;               ///< its last failure was no crash
        std::optional<TimePoint> resumes_at{};  ///< in `pauses_`: the end of its back-off
        Usage usage{};
        Duration serve_time{};  ///< of one lease, smoothed
        TimePoint last_used{};
    };

    struct Retirement {
        StopReason reason;
        std::uint64_t serves_before = 0;  ///< earlier tickets are still served
    };

    struct Instance {
        ModelId model;
        std::size_t placement = 0;
        InstanceState state = InstanceState::loading;
        bool slept = false;   ///< it is loading, or was loaded, out of its sleep
        std::size_t way = 0;  ///< in which it falls asleep, sleeps or slept
        std::uint32_t leases = 0;
        std::optional<Retirement> retiring{};
        KeepAlive keep_alive{};
        TimePoint since{};  ///< of its start; once ready, of its readiness
        std::optional<TimePoint> idle_since{};
        std::optional<TimePoint> expires_at{};
        std::optional<TimePoint> first_served_at{};  ///< end of its first lease
        Footprint leaving{};  ///< what it is giving back: stopping or falling asleep
    };

    using Sleepers = std::map<InstanceId, std::size_t>;  ///< with their way to sleep

    struct Request {
        ModelId model;
        InstanceId instance{};    ///< 0: waiting
        Queue::iterator place{};  ///< while waiting
        TimePoint granted_at{};
    };

    void handle(const ModelDeclared& event);
    void handle(const RequestArrived& event);
    void handle(const RequestCancelled& event);
    void handle(const LeaseEnded& event);
    void handle(const InstanceReady& event);
    void handle(const InstanceAsleep& event);
    void handle(const InstanceMeasured& event);
    void handle(const InstanceGone& event);
    void handle(const LoadRequested& event);
    void handle(const UnloadRequested& event);
    void handle(const BudgetChanged& event);
    void handle(const TimerFired& event);
    void handle(const DrainStarted& event);

    void note_visit(ModelId id, Model& model);
    void serve(Model& model);
    void grant(Model& model, Instance& instance);
    void refuse_waiting(Model& model, const RefuseRequest& how);
    void refuse(RequestId request, RefuseRequest how);
    static bool is_missed(const Model& model) {
        return !model.instance && (model.wanted || !model.queue.empty());
    }
    void update_place(ModelId id, Model& model);
    void become_idle(InstanceId id, Instance& instance);
    void place_idle(InstanceId id, Instance& instance);
    void leave_idle(InstanceId id, Instance& instance);
    void set_retiring(InstanceId id, Instance& instance, std::optional<Retirement> retiring);
    void correct(InstanceId id, Instance& instance, const Footprint& measured);
    void start(ModelId id, Model& model, const Placement& placement);
    void wake(ModelId id, Model& model);
    void enter_loading(ModelId id, Model& model, InstanceId instance);
    void stop(InstanceId id, StopReason reason);
    void fall_asleep(InstanceId id, std::size_t way);
    void expire();
    void arm_timer();
    std::optional<TimePoint> next_deadline() const;

    // Failures: who waits for a model that backs off (scheduler_backoff.cpp).
    void note_failure(Model& model, const Instance& instance);
    Duration patience(const Model& model) const;
    void update_pause(ModelId id, Model& model);
    void resume();

    // Planning: who loads, who leaves (scheduler_plan.cpp).
    void plan();
    bool is_out_of_reach(const WaitingLine::Place& place) const;
    bool consider(const WaitingLine::Place& place, bool owed, PlanningPass& pass);
    void set_aside(const Model& model, PlanningPass& pass);
    void put_back(const PlanningPass& pass);
    const Placement* bed_of(const Model& model) const;
    Footprint still_needed(const Model& model) const;
    std::span<const Footprint> kept_asleep(const Instance& instance) const;
    void evict(const Victims& victims, const Footprint& needed, const PlanningPass& pass);
    Sleepers choose_sleepers(const Victims& victims, Footprint spare) const;
    void look_at_placements(const Model& model, PlanningPass& pass) const;
    const Placement* free_placement(const Footprint& free, const PlanningPass& pass) const;
    bool evict_for(bool owed, const Footprint& free, PlanningPass& pass);
    void claim(Model& model, const Footprint& free, PlanningPass& pass);
    Footprint free_for(const PlanningPass& pass) const {
        return ledger_.available() + leaving_ - pass.claimed;
    }
    void refuse_what_never_fits();
    bool refuse_if_never_fits(ModelId id, Model& model, const Footprint& most);
    Victims choose_busy(const Footprint& missing, bool anyway) const;
    void retire(const Victims& victims, const Retirement& retirement);
    void return_to_service(StopReason reason, const Footprint& missing);
    void shrink();
    Footprint overdrawn() const;
    static Duration return_time(const Model& model);
    static Duration wake_time(const Model& model, std::size_t way);
    static Duration loss_of(const Model& model, const Instance& instance);
    Footprint ceiling() const;
    ValueScale scale() const { return value_scale(policies_.current(), visit_); }
    LeavingRank leaving_rank(InstanceId id, const Instance& instance) const;
    InstanceView view(InstanceId id, const Instance& instance) const;
    void check_instance(InstanceId id, const Instance& instance) const;
    void check_line() const;

    SchedulerOptions options_;
    Ledger ledger_;
    TimePoint now_{};
    Effects effects_;
    std::unordered_map<ModelId, Model> models_;
    std::map<InstanceId, Instance> instances_;  // ordered: iteration decides effects
    std::unordered_map<RequestId, Request> requests_;
    PolicySelector policies_;
    Visit visit_ = 0;
    ModelId last_asked_{};
    WaitingLine line_;  ///< models that are wanted, have no instance and do not back off
    std::set<std::pair<TimePoint, ModelId>> pauses_;  ///< that are wanted and back off
    IdleInstances idle_;  ///< ready, without leases, not pinned; and those that sleep
    std::set<InstanceId> retiring_;
    Footprint retiring_held_;      ///< by those of them that are busy
    std::size_t shrinking_ = 0;    ///< of them, for a smaller budget
    Footprint busy_held_;          ///< by all with leases
    std::set<InstanceId> pinned_;  ///< loading or ready
    std::set<std::pair<TimePoint, InstanceId>> expiries_;
    Footprint leaving_;  ///< what instances are giving back
    std::size_t waiting_ = 0;
    std::uint64_t last_ticket_ = 0;
    InstanceId last_instance_{};
    bool replan_ = false;  ///< something changed that may let a model load, or make one leave
    std::optional<PlanningPass::End> looked_until_{};  ///< by the last pass; unset: it saw all
    bool ceiling_fell_ = false;  ///< some waiting model may never fit any more
    bool draining_ = false;
    std::optional<TimePoint> armed_{};  ///< the WakeAt that is out
};

}  // namespace drover::memory

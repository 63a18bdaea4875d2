// The promises of the scheduler, checked from outside after every event: its events and effects are
// all that is believed. Each broken promise has a sentence.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>

#include "memory/effects.hpp"
#include "memory/events.hpp"

namespace drover::sim {

/// Safety: what must hold at every moment.
class Checkers {
  public:
    explicit Checkers(const memory::Footprint& budget) : budget_(budget) {}

    /// Requests must not wait longer than this from now on.
    void bound_waiting(Duration bound) { wait_bound_ = bound; }

    void before(const memory::Event& event, TimePoint now);
    void see(const memory::Effect& effect);
    /// All effects of an event have been seen.
    void after();

    /// The first broken promise; empty: none.
    const std::string& violation() const { return violation_; }
    void expect(bool holds, const char* promise) {
        if (!holds && violation_.empty()) {
            violation_ = promise;
        }
    }

  private:
    struct Model {
        memory::ModelTraits traits;  ///< a placement is as declared, or more when more was measured
        std::deque<RequestId> queue;  ///< cancelled and answered ones stay until they are in front
        std::size_t waiting = 0;
        InstanceId instance{};
    };

    struct Instance {
        ModelId model;
        std::size_t placement = 0;
        bool ready = false;
        bool falling_asleep = false;
        bool asleep = false;
        bool slept = false;  ///< it is loading, or was loaded, out of its sleep
        bool stopping = false;
        std::uint32_t leases = 0;
        memory::Footprint held;
        memory::KeepAlive keep_alive;
        TimePoint idle_since{};
    };

    struct Request {
        ModelId model;
        std::optional<memory::KeepAlive> keep_alive;
        TimePoint since{};
        InstanceId instance{};  ///< 0: waiting
    };

    void note(const memory::ModelDeclared& event);
    void note(const memory::RequestArrived& event);
    void note(const memory::RequestCancelled& event);
    void note(const memory::LeaseEnded& event);
    void note(const memory::InstanceReady& event);
    void note(const memory::InstanceAsleep& event);
    void note(const memory::InstanceMeasured& event);
    void note(const memory::InstanceGone& event);
    void note(const memory::LoadRequested&) {}
    void note(const memory::UnloadRequested& event);
    void note(const memory::BudgetChanged& event);
    void note(const memory::TimerFired&) { wake_at_.reset(); }
    void note(const memory::DrainStarted&) { draining_ = true; }

    void check(const memory::StartInstance& effect);
    void check(const memory::StopInstance& effect);
    void check(const memory::SleepInstance& effect);
    void check(const memory::WakeInstance& effect);
    void check_evicted(const Instance& instance);
    void check(const memory::GrantLease& effect);
    void check(const memory::RefuseRequest& effect);
    void check(const memory::WakeAt& effect);

    void check_placement(const Model& model, const memory::StartInstance& effect);
    memory::Footprint ceiling() const;
    bool can_never_wake(const Instance& instance) const;
    bool is_in_the_way(const Instance& instance) const;
    void set_held(Instance& instance, const memory::Footprint& held);
    void hold(Instance& instance, const memory::Footprint& held);
    void check_waiting();
    void check_idle();
    RequestId oldest(Model& model) const;
    bool waits(RequestId request) const;

    memory::Footprint budget_;
    memory::Footprint held_;
    memory::Footprint over_allowed_;  ///< by what the world, not the scheduler, exceeded the budget
    bool world_moved_ = false;        ///< this event may exceed it
    std::map<ModelId, Model> models_;
    std::map<InstanceId, Instance> instances_;
    std::unordered_map<RequestId, Request> requests_;  ///< waiting or granted
    std::optional<ModelId> failed_load_{};             ///< in this event
    std::optional<ModelId> unloading_{};               ///< in this event
    std::optional<TimePoint> wake_at_{};
    std::size_t waiting_ = 0;
    std::optional<Duration> wait_bound_{};
    bool draining_ = false;
    TimePoint now_{};
    std::string violation_;
};

}  // namespace drover::sim

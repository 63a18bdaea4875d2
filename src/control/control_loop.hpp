// The single writer: feeds events to the scheduler and carries out its effects. On the loop only.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "control/instance.hpp"
#include "control/lease.hpp"
#include "control/managed_model.hpp"
#include "memory/scheduler.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"

namespace drover::control {

/// One instance for `drover ps`.
struct InstanceStatus {
    memory::InstanceView view;
    std::size_t waiting = 0;  ///< requests queued for its model
    pid_t pid = 0;
    Duration load_time{};
};

/// The whole fleet at one moment.
struct FleetStatus {
    memory::Footprint budget;
    memory::Footprint held;
    std::size_t waiting = 0;
    std::vector<InstanceStatus> instances;
};

struct ControlOptions {
    memory::SchedulerOptions scheduler;
    memory::Footprint budget;
    /// How often resident instances are measured again.
    std::chrono::milliseconds measure_every{2'000};
};

/// Owns the scheduler and all instances.
class ControlLoop {
  public:
    /// Declares `models`; nothing starts before a request, a load or start().
    ControlLoop(platform::Loop& loop,
                platform::BlockingPool& pool,
                ControlOptions options,
                std::vector<ManagedModel> models);
    ~ControlLoop();

    /// Begins to measure and loads the models marked `preload`.
    void start();

    /// Refuses what waits and what comes, lets running leases end, stops all instances, and returns
    /// when the last one is gone.
    platform::Task<> stop();

    /// Asks for a lease on `model`, loading it if needed. The ticket is often decided at once.
    Ticket request(ModelId model, std::optional<memory::KeepAlive> keep_alive);

    /// The lease of `ticket`, at the latest at `deadline`. Errors: overloaded, insufficient_memory,
    /// engine_failed, unavailable, timeout, cancelled (the calling coroutine was).
    platform::Task<Result<Lease>> wait(Ticket ticket, TimePoint deadline);

    /// Loads `model` if it is not resident; returns when it is ready.
    platform::Task<Status> load(ModelId model, TimePoint deadline);

    /// Takes `model` out of memory when its leases have ended; returns when the memory is free, with
    /// the bytes that came back (none if it was not resident).
    platform::Task<Result<Bytes>> unload(ModelId model);

    FleetStatus status() const;

    /// The state of `model`'s instance; nullopt: not resident.
    std::optional<memory::InstanceState> state(ModelId model) const;

  private:
    friend class Lease;
    friend class Ticket;

    void feed(memory::Event event);
    void carry_out(const memory::StartInstance& effect);
    void carry_out(const memory::StopInstance& effect);
    void carry_out(const memory::GrantLease& effect);
    void carry_out(const memory::RefuseRequest& effect);
    void carry_out(const memory::WakeAt& effect);
    platform::Task<> run(std::shared_ptr<Instance> instance);
    platform::Task<> measure_periodically();
    platform::Task<> measure_once();
    platform::Task<> wake_up(TimePoint at);
    void reserve_own_memory(Bytes own);
    memory::Footprint growth_of(const ManagedModel& model) const;
    Error refusal(ModelId model, const memory::RefuseRequest& effect) const;

    platform::Loop& loop_;
    platform::BlockingPool& pool_;
    ControlOptions options_;
    std::unordered_map<ModelId, ManagedModel> models_;
    memory::Scheduler scheduler_;
    std::deque<memory::Event> events_;
    bool pumping_ = false;
    RequestId last_request_;
    std::unordered_map<RequestId, std::shared_ptr<PendingRequest>> pending_;
    std::map<InstanceId, std::shared_ptr<Instance>> instances_;
    std::unordered_map<ModelId, Error> last_failure_;
    Bytes own_memory_;
    platform::Timer wake_timer_;
    TimePoint wake_at_ = TimePoint::max();
    platform::Notifier changed_;  ///< told when an instance is gone
    platform::TaskScope tasks_;
};

}  // namespace drover::control

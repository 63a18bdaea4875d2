// The memory scheduler: who is resident, who waits, who leaves. A pure state machine: events in,
// effects out, no clock, no I/O. Driven by control/ in the server and by sim/ in the simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/effects.hpp"
#include "memory/events.hpp"
#include "memory/footprint.hpp"

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
enum class InstanceState { loading, ready, stopping };

/// One instance as seen from outside; for `drover ps`, metrics and invariants.
struct InstanceView {
    InstanceId instance;
    ModelId model;
    InstanceState state;
    bool retiring;
    Footprint held;                       ///< charged to the budget
    std::uint32_t leases;
    std::optional<TimePoint> expires_at;  ///< when idle and with a keep_alive that ends
};

/// Decides; never acts. Single-threaded. Every event is answered with effects in the order in which
/// they are to be carried out. Events about unknown ids are ignored: the world may be late.
class Scheduler {
  public:
    Scheduler(SchedulerOptions options, Footprint budget);
    ~Scheduler();
    Scheduler(Scheduler&&) noexcept;
    Scheduler& operator=(Scheduler&&) noexcept;

    /// Feeds one event. REQUIRES: `now` never goes back. Cost is O(log n) in queue lengths and
    /// O(instances) when something must leave.
    Effects on(const Event& event, TimePoint now);

    Footprint budget() const;
    /// Sum of what all instances hold, loading and stopping ones too. Never above the budget, except
    /// after BudgetChanged or a measurement above the estimate, until what is idle has left.
    Footprint held() const;
    std::vector<InstanceView> instances() const;
    /// Requests waiting for a lease on `model`.
    std::size_t waiting(ModelId model) const;
    std::size_t waiting() const;

    /// Aborts when internal book-keeping contradicts itself. For tests and the simulator.
    void check_invariants() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace drover::memory

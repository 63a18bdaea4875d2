// What the scheduler is told. Plain values; the control loop and the simulator make them.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"

namespace drover::memory {

/// How long an idle instance stays: a duration, or nullopt for ever. Zero: leave at once.
using KeepAlive = std::optional<Duration>;

/// One way to lay a model out over the devices.
struct Placement {
    Footprint footprint;  ///< bytes one instance needs, estimated or measured earlier
    /// Placements of one grade serve equally well: the one is taken that costs others least. A
    /// higher grade is used only when none of a lower one could ever fit.
    std::uint32_t grade = 0;
    /// What an instance keeps asleep there, in each of its ways to sleep, the one that it wakes up
    /// from soonest first; estimated, then measured. On some devices that may be more than it has
    /// awake. Empty: it cannot sleep.
    std::vector<Footprint> asleep{};
};

/// What the scheduler knows of a model.
struct ModelTraits {
    std::vector<Placement> placements{};  ///< at least one; grades never fall
    std::uint32_t lease_limit = 1;        ///< requests that one instance serves at once
    std::uint32_t queue_limit = 64;       ///< requests that may wait; more are refused
    KeepAlive keep_alive = std::chrono::minutes(5);
    bool pinned = false;        ///< never evicted, never expires (an unload still works)
    std::int32_t priority = 0;  ///< higher loads first and leaves last
    /// Overrides SchedulerOptions::min_residency, and holds also when nobody uses the model.
    std::optional<Duration> min_residency{};
    Duration load_time{};  ///< expected time to load: what an eviction costs
};

/// A model appears or its traits change. A resident instance keeps the bytes it has.
struct ModelDeclared {
    ModelId model;
    ModelTraits traits;
};

/// A client wants a lease on `model`. Answered by exactly one GrantLease or RefuseRequest, unless
/// RequestCancelled comes first. `keep_alive`, when set, replaces the model's own from now on for
/// the resident instance.
struct RequestArrived {
    RequestId request;
    ModelId model;
    std::optional<KeepAlive> keep_alive{};
};

/// The client left, or its deadline passed, before it had its lease. Ignored when the answer is
/// already out: the holder of the lease ends it.
struct RequestCancelled {
    RequestId request;
};

/// The holder of a granted lease is done with it, for whatever reason. Exactly once a lease, also
/// after its instance is gone.
struct LeaseEnded {
    RequestId request;
};

/// The instance answers its health check; `measured` replaces the estimate in the ledger.
struct InstanceReady {
    InstanceId instance;
    Footprint measured;
};

/// The instance sleeps: `measured` is all that it holds now.
struct InstanceAsleep {
    InstanceId instance;
    Footprint measured;
};

/// A resident instance was measured again.
struct InstanceMeasured {
    InstanceId instance;
    Footprint measured;
};

/// The process is gone and its memory is back. Without StopInstance before it this is a crash, and
/// before InstanceReady a failed load.
struct InstanceGone {
    InstanceId instance;
};

/// Bring the model into memory without a request (preload, `drover load`).
struct LoadRequested {
    ModelId model;
};

/// Take the model out of memory once its leases have ended.
struct UnloadRequested {
    ModelId model;
};

/// The budget changed. A smaller one evicts idle instances until it holds again.
struct BudgetChanged {
    Footprint budget;
};

/// Time has come to the instant of the last WakeAt.
struct TimerFired {};

/// No new requests from now on; waiting ones are refused, instances stop as they become idle.
struct DrainStarted {};

using Event = std::variant<ModelDeclared,
                           RequestArrived,
                           RequestCancelled,
                           LeaseEnded,
                           InstanceReady,
                           InstanceAsleep,
                           InstanceMeasured,
                           InstanceGone,
                           LoadRequested,
                           UnloadRequested,
                           BudgetChanged,
                           TimerFired,
                           DrainStarted>;

}  // namespace drover::memory

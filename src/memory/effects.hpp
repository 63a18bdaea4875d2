// What the scheduler asks the world to do: carried out by the control loop, or by the simulator.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"

namespace drover::memory {

/// Start an engine process for `model`. Its bytes are reserved already. Answered by InstanceReady
/// or InstanceGone.
struct StartInstance {
    InstanceId instance;
    ModelId model;
    Footprint reserved;
    std::size_t placement = 0;  ///< index among the model's, see ModelTraits
};

/// Why an instance leaves.
enum class StopReason {
    evicted,   ///< its bytes are needed for another model
    expired,   ///< idle for its keep_alive
    unloaded,  ///< somebody asked
    shrunk,    ///< the budget became smaller, or it grew beyond it
    draining,  ///< the server stops
};

/// Stop an instance that has no leases. Answered by InstanceGone when its memory is back.
struct StopInstance {
    InstanceId instance;
    StopReason reason;
};

/// Let an instance that has no leases give back what it can without ending. What it moves to
/// another device meanwhile is reserved there already. Answered by InstanceAsleep, or by
/// InstanceGone when it could not.
struct SleepInstance {
    InstanceId instance;
    Footprint reserved;
    std::size_t way = 0;  ///< among those of its placement, see Placement::asleep
};

/// Let an instance that sleeps serve again. Its bytes are reserved already. Answered by
/// InstanceReady or InstanceGone.
struct WakeInstance {
    InstanceId instance;
    ModelId model;
    Footprint reserved;
};

/// The request may use the instance until its LeaseEnded.
struct GrantLease {
    RequestId request;
    InstanceId instance;
};

/// Why a request gets no lease.
enum class RefuseReason {
    queue_full,   ///< the model's queue is at its limit
    never_fits,   ///< more than the whole budget, less what is pinned
    load_failed,  ///< the load it waited for ended in InstanceGone
    backing_off,  ///< the model failed lately; `retry_after` says when it may be tried again
    draining,     ///< the server stops
};

/// The request ends here.
struct RefuseRequest {
    RequestId request;
    RefuseReason reason;
    std::optional<Duration> retry_after{};
    Footprint needed{};     ///< never_fits: what the model takes where it would lie best
    Footprint available{};  ///< never_fits: the most it could ever get
};

/// Send TimerFired at this instant. Replaces every earlier WakeAt.
struct WakeAt {
    TimePoint at;
};

using Effect = std::variant<StartInstance,
                            StopInstance,
                            SleepInstance,
                            WakeInstance,
                            GrantLease,
                            RefuseRequest,
                            WakeAt>;
using Effects = std::vector<Effect>;

}  // namespace drover::memory

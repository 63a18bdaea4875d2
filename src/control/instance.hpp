// One engine process as control sees it: its supervisor, its connections, its bytes, its end. On
// the loop only.
#pragma once

#include <optional>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "engines/supervisor.hpp"
#include "engines/upstream_pool.hpp"
#include "memory/footprint.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::control {

/// Shared by the task that runs the process and by those who wait for its end.
struct Instance {
    Instance(platform::Loop& loop, InstanceId instance, ModelId of, engines::LaunchPlan plan)
        : id(instance),
          model(of),
          upstream(loop, plan.where()),
          supervisor(loop, std::move(plan)),
          gone(loop) {}

    InstanceId id;
    ModelId model;
    engines::UpstreamPool upstream;
    engines::Supervisor supervisor;
    Duration load_time{};  ///< spawn to ready
    Duration wake_time{};  ///< of the last awakening
    bool resting = false;  ///< falling asleep, asleep or waking up: not to be asked or measured
    std::optional<memory::Footprint> measured_at_ready{};  ///< before it served anything
    memory::Footprint charged{};                  ///< last measurement told to the scheduler
    std::optional<engines::ExitReport> report{};  ///< set when the process is gone
    platform::Notifier gone;                      ///< told when `report` is set
};

}  // namespace drover::control

// One engine process as control sees it: its supervisor, its connections, its bytes, its end. On
// the loop only.
#pragma once

#include <optional>
#include <utility>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "control/managed_model.hpp"
#include "engines/engine_load.hpp"
#include "engines/supervisor.hpp"
#include "engines/upstream_pool.hpp"
#include "memory/effects.hpp"
#include "memory/footprint.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::control {

/// Shared by the task that runs the process and by those who wait for its end.
struct Instance {
    Instance(platform::Loop& loop,
             const memory::StartInstance& start,
             PlacementTraits placement,
             engines::LaunchPlan plan)
        : id(start.instance),
          model(start.model),
          reserved(start.reserved),
          placed(std::move(placement)),
          upstream(loop, plan.where()),
          supervisor(loop, std::move(plan)),
          gone(loop) {}

    /// REQUIRES: it can sleep.
    engines::SleepWay sleep_way() const { return supervisor.plan().sleeps.at(way); }

    InstanceId id;
    ModelId model;
    memory::Footprint reserved;  ///< before its start
    PlacementTraits placed;
    engines::UpstreamPool upstream;
    engines::Supervisor supervisor;
    Duration load_time{};  ///< spawn to ready
    Duration wake_time{};  ///< of the last awakening
    std::size_t way = 0;   ///< in which it falls asleep, sleeps or slept: an index in its plan's
    bool resting = false;  ///< falling asleep, asleep or waking up: not to be asked or measured
    std::optional<engines::EngineLoad> load{};  ///< as it said last; unset while it is idle
    bool served = false;  ///< somebody got it since its speed was learned last
    std::optional<memory::Footprint> measured_at_ready{};  ///< before it served anything
    memory::Footprint charged{};                  ///< last measurement told to the scheduler
    std::optional<engines::ExitReport> report{};  ///< set when the process is gone
    platform::Notifier gone;                      ///< told when `report` is set
};

}  // namespace drover::control

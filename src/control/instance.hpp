// One running engine process as control sees it: its supervisor, its connections, its end. On the
// loop only.
#pragma once

#include <optional>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "engines/supervisor.hpp"
#include "engines/upstream_pool.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::control {

/// Shared by the task that runs the process and by the leases on it; the last one frees it.
struct Instance {
    Instance(platform::Loop& loop, InstanceId instance, ModelId of, engines::LaunchPlan plan)
        : id(instance), model(of), supervisor(loop, plan), upstream(loop, plan.socket), gone(loop) {}

    InstanceId id;
    ModelId model;
    engines::Supervisor supervisor;
    engines::UpstreamPool upstream;
    Duration load_time{};                        ///< spawn to ready
    std::optional<engines::ExitReport> report;   ///< set when the process is gone
    platform::Notifier gone;                     ///< told when `report` is set
};

}  // namespace drover::control

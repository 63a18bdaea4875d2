// `drover plan` and `POST /admin/plan`: from names, files and specs to a plan.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "app/devices.hpp"
#include "base/result.hpp"
#include "cli/cli.hpp"
#include "config/config.hpp"
#include "control/measured_sizes.hpp"
#include "engines/llama_cpp_locate.hpp"
#include "memory/scheduler.hpp"
#include "models/registry.hpp"
#include "planner/plan.hpp"
#include "store/progress.hpp"
#include "store/pull.hpp"
#include "store/remote_model.hpp"

namespace drover::app {

/// The scheduler's knobs as configured.
memory::SchedulerOptions scheduler_options(const config::Config& config);

/// What is planned for.
struct PlanMachine {
    Devices devices;
    engines::LocatedEngine engine{};                ///< llama-server
    bool engine_has_gpus = false;                   ///< it computes on them
    const control::MeasuredSizes* sizes = nullptr;  ///< what it knows replaces estimates
    Bytes own{};                                    ///< of the host's budget, for Drover itself
};

/// What Drover itself will be charged when it serves, as far as this process knows: a step more
/// than now.
Bytes own_when_serving();

/// Models that are somewhere else, by the references that name them: what their headers say, or why
/// that is not known.
using RemoteModels = std::map<std::string, Result<store::RemoteModel>>;

/// Of `names` those that are neither models of the registry nor specs, but may be references: they
/// name a place or a tag.
std::vector<std::string> remote_names(const models::Registry& registry,
                                      const std::vector<std::string>& names);

/// Asks for the headers of all of them. Blocks.
RemoteModels look_at(const std::vector<std::string>& names,
                     const store::PullOptions& options,
                     const store::Stopped& stopped);

/// Models of the registry by name, else specs such as "7b-q4", else those that are somewhere else;
/// none named: the declared ones, or all when none is declared. `not_found` names the nearest;
/// `invalid_argument` says what is wrong with a spec or setting.
Result<planner::Plan> plan_for(const config::Config& config,
                               const models::Registry& registry,
                               const RemoteModels& elsewhere,
                               const std::vector<std::string>& names,
                               const PlanMachine& machine);

/// The answer to `drover plan`, as text or JSON. Reads the disk, and headers of models that are
/// somewhere else; needs no server.
Result<std::string> plan(const config::Config& config, const cli::PlanQuestion& question);

/// The answer to `POST /admin/plan`: {"models": [...], "budget": "64GiB", "gpus": ["24GiB"],
/// "context": N, "parallel": N, "cache_type": "q8_0"}, of which nothing is required. Files are not
/// read for a client. With `gpus` it is planned for a machine with such GPUs.
Result<boost::json::object> answer_plan(const config::Config& config,
                                        const models::Registry& registry,
                                        const RemoteModels& elsewhere,
                                        const PlanMachine& machine,
                                        const boost::json::object& request);

/// What the request names that is somewhere else; empty when it cannot be read.
std::vector<std::string> remote_names(const models::Registry& registry,
                                      const boost::json::object& request);

}  // namespace drover::app

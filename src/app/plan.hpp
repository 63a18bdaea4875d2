// `drover plan` and `POST /admin/plan`: from names, files and specs to a plan.
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "app/devices.hpp"
#include "base/result.hpp"
#include "cli/cli.hpp"
#include "config/config.hpp"
#include "memory/scheduler.hpp"
#include "models/registry.hpp"
#include "planner/plan.hpp"

namespace drover::app {

/// The scheduler's knobs as configured.
memory::SchedulerOptions scheduler_options(const config::Config& config);

/// What is planned for: the devices, and whether llama-server computes on GPUs.
struct PlanMachine {
    Devices devices;
    bool engine_has_gpus = false;
};

/// Models of the registry by name, else specs such as "7b-q4"; none named: the declared ones, or
/// all when none is declared. `not_found` names the nearest; `invalid_argument` says what is wrong
/// with a spec or setting.
Result<planner::Plan> plan_for(const config::Config& config,
                               const models::Registry& registry,
                               const std::vector<std::string>& names,
                               const PlanMachine& machine);

/// The answer to `drover plan`, as text or JSON. Reads the disk; needs no server.
Result<std::string> plan(const config::Config& config, const cli::PlanQuestion& question);

/// The answer to `POST /admin/plan`: {"models": [...], "budget": "64GiB", "gpus": ["24GiB"],
/// "context": N, "parallel": N, "cache_type": "q8_0"}, of which nothing is required. Files are not
/// read for a client. With `gpus` it is planned for a machine with such GPUs.
Result<boost::json::object> answer_plan(const config::Config& config,
                                        const models::Registry& registry,
                                        const PlanMachine& machine,
                                        const boost::json::object& request);

}  // namespace drover::app

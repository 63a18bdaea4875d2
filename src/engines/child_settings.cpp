#include "engines/child_settings.hpp"

#include <algorithm>

namespace drover::engines {

ResolvedSettings resolve_child_settings(config::Task task,
                                        const config::ModelSettings& model,
                                        const config::ModelSettings& defaults,
                                        std::uint32_t parallel) {
    ResolvedSettings result;
    result.task = task == config::Task::automatic ? config::Task::generate : task;
    result.context = first_of(model.context, defaults.context).value_or(kContextDefault);
    // The default of all models is one for llama.cpp, which divides its memory by it.
    result.parallel = std::max(model.parallel.value_or(parallel), std::uint32_t{1});
    result.queue = first_of(model.queue, defaults.queue).value_or(kQueueDefault);
    result.keep_alive = first_of(model.keep_alive, defaults.keep_alive).value_or(kKeepAliveDefault);
    result.priority = first_of(model.priority, defaults.priority).value_or(0);
    result.min_residency = first_of(model.min_residency, defaults.min_residency);
    result.threads = first_of(model.threads, defaults.threads).value_or(0);
    result.sleep = first_of(model.sleep, defaults.sleep).value_or(config::SleepLevel::light);
    result.device = first_of(model.device, defaults.device).value_or(config::DeviceChoice());
    result.extra_args = model.extra_args;
    return result;
}

}  // namespace drover::engines

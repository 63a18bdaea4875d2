// Settings of a model whose engine reads it, so that Drover knows nothing of it. Pure; any thread.
#pragma once

#include "config/config.hpp"
#include "engines/settings.hpp"

namespace drover::engines {

/// Like resolve_settings: model, then defaults, then built in, of which `parallel` is given.
ResolvedSettings resolve_child_settings(config::Task task,
                                        const config::ModelSettings& model,
                                        const config::ModelSettings& defaults,
                                        std::uint32_t parallel);

}  // namespace drover::engines

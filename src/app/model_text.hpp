// What the parts of the composition root that make models share.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "engines/settings.hpp"
#include "memory/events.hpp"

namespace drover::app {

/// As the configuration spells it.
std::string_view to_string(config::Task task);

/// "NAME=value" entries of this process.
std::vector<std::string> own_environment();

/// Unset: the model stays.
memory::KeepAlive keep_alive_of(const engines::ResolvedSettings& settings);

}  // namespace drover::app

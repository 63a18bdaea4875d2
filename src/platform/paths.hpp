// Where things are kept, by the XDG conventions. Any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"

namespace drover::platform {

/// Gives the value of an environment variable, or nullopt when unset or empty.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The process's own environment.
Environment process_environment();

/// $DROVER_CACHE, else $XDG_CACHE_HOME/drover, else ~/.cache/drover: engines and models.
std::filesystem::path cache_directory(const Environment& environment);

/// $XDG_CONFIG_HOME/drover, else ~/.config/drover.
std::filesystem::path config_directory(const Environment& environment);

/// $DROVER_RUNTIME_DIR, else $XDG_RUNTIME_DIR/drover, else /tmp/drover-UID: engine sockets.
std::filesystem::path runtime_directory(const Environment& environment);

/// The program `name` means: with a slash in it a path, else the first of that name on PATH, whose
/// relative folders are passed over. `not_found` says where it was looked for.
Result<std::filesystem::path> find_program(const std::string& name, const Environment& environment);

}  // namespace drover::platform

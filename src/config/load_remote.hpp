// Reads what an entry of `models:` says about a server that somebody else runs. Pure; any thread.
#pragma once

#include <string>

#include <yaml-cpp/yaml.h>

#include "config/config.hpp"
#include "config/load_engine.hpp"

namespace drover::config {

/// Reads the keys of `engine: remote` into `entry.remote`. Whether a URL can be used is not looked
/// at.
void read_remote(const YAML::Node& node,
                 const std::string& path,
                 const EngineProblem& problem,
                 ModelEntry& entry);

}  // namespace drover::config

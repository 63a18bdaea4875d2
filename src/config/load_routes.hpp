// Reads `routes:`. Pure; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "config/routes.hpp"
#include "config/yaml_reader.hpp"

namespace drover::config {

/// The routes of `node` in `file`, as far as they can be read. Relative paths start beside it.
std::vector<RouteEntry> read_routes(const YAML::Node& node,
                                    const std::filesystem::path& file,
                                    const RouteProblem& problem);

}  // namespace drover::config

// Reads `routes:`. Pure; any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "config/routes.hpp"

namespace drover::config {

/// Where a problem is told: the node that it is about, the setting's path, and what is wrong.
using RouteProblem =
    std::function<void(const YAML::Node& node, const std::string& path, const std::string& what)>;

/// The routes of `node` in `file`, as far as they can be read. Relative paths start beside it.
std::vector<RouteEntry> read_routes(const YAML::Node& node,
                                    const std::filesystem::path& file,
                                    const RouteProblem& problem);

}  // namespace drover::config

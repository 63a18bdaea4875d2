// Reads `rules:` of a route. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "config/routes.hpp"
#include "config/yaml_reader.hpp"

namespace drover::config {

/// The rules of `node`, as far as they can be read; regular expressions and languages are checked.
std::vector<RouteRule> read_rules(const YamlReader& reader,
                                  const YAML::Node& node,
                                  const std::string& path);

}  // namespace drover::config

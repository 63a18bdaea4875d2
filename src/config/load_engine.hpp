// Reads what an entry of `models:` says about its engine. Pure; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/result.hpp"
#include "config/config.hpp"

namespace drover::config {

/// Where a problem is told: the node that it is about, the setting's path, and what is wrong.
using EngineProblem =
    std::function<void(const YAML::Node& node, const std::string& path, const std::string& what)>;

/// A key of `models.NAME` that only models of some engines have.
struct EngineKey {
    std::string name;
    std::vector<EngineKind> engines;
    std::string example;
    std::string help;

    /// "vllm, command".
    std::string engines_text() const;
};

const std::vector<EngineKey>& engine_key_table();

/// "llama_cpp", "vllm", "command" or "remote".
Result<EngineKind> parse_engine(std::string_view text);

/// The names of all keys of engine_key_table().
std::vector<std::string> engine_keys();

/// Reads those of the entry's engine, and reports those of others. From `node`, a mapping, into
/// `entry`, whose `engine` is set.
void read_engine(const YAML::Node& node,
                 const std::string& path,
                 const EngineProblem& problem,
                 ModelEntry& entry);

}  // namespace drover::config

// From file, environment and flags to a Config, with every problem at once. Blocks on the file; any
// thread.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.hpp"

namespace drover::config {

/// One thing that is wrong.
struct Problem {
    std::string where;    ///< "drover.yaml:12", "environment DROVER_BUDGET", "--set memory.budget"
    std::string path;     ///< "models.smol.context"; empty: the file as a whole
    std::string message;  ///< what is wrong and what would be right

    std::string to_string() const;
};

/// Where values come from; later ones win: built in < Ollama's environment < file < environment <
/// flags.
struct Sources {
    std::filesystem::path file;  ///< --config; empty: the first of `search` that exists, or none
    std::vector<std::filesystem::path> search;
    std::function<std::optional<std::string>(const std::string& name)> environment;
    std::vector<std::pair<std::string, std::string>> flags;  ///< (path, text), as "--set PATH=TEXT"
    std::filesystem::path cache_dir;
    std::filesystem::path runtime_dir;
};

struct Loaded {
    Config config;                  ///< as far as it could be read
    std::vector<Problem> problems;  ///< none: `config` is good
    std::vector<Problem> warnings;
    std::vector<std::string> notes;  ///< what came from Ollama's environment
};

Loaded load(const Sources& sources);

/// docs/config.md's tables of all settings, as Markdown.
std::string reference();

}  // namespace drover::config

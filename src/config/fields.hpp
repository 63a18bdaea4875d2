// The table of all settings: where they stand in the file, which environment variable gives them,
// how a text becomes a value, and what they mean. File, environment, flags and docs/config.md all
// come from it. Pure; any thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"

namespace drover::config {

/// One setting of the whole server.
struct Field {
    std::string path;         ///< "memory.budget"
    std::string environment;  ///< "DROVER_BUDGET"; empty: none
    std::string example;      ///< its default, or a typical value
    std::string help;
    /// Reads `text` into the config; `invalid_argument` says what is wrong and what would be right.
    std::function<Status(Config&, std::string_view text)> set;
};

/// One setting of a model, in `defaults:` and `models.NAME:`.
struct ModelField {
    std::string path;
    std::string environment;  ///< sets the default for all models
    std::string example;
    std::string help;
    std::function<Status(ModelSettings&, std::string_view text)> set;
};

const std::vector<Field>& fields();
const std::vector<ModelField>& model_fields();

/// "generate", "embedding", "rerank" or "auto".
Result<Task> parse_task(std::string_view text);

/// "true" or "false", and YAML's other spellings of them.
Result<bool> parse_flag(std::string_view text);

/// `text` as a path: "~/" is the home directory, relative ones start at `base`.
std::filesystem::path resolve_path(std::string_view text, const std::filesystem::path& base);

}  // namespace drover::config

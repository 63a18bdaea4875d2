// Ollama's environment variables as settings of ours, for machines that were set up for it. Pure;
// any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::config {

/// A variable of Ollama's that means something here.
struct OllamaVariable {
    std::string_view name;                ///< "OLLAMA_HOST"
    std::vector<std::string_view> paths;  ///< of our settings; empty: known, but not honoured
    std::string_view help;                ///< what it sets, or why it is not honoured
    /// Its text as our settings take it; empty: it asks for nothing.
    Result<std::string> (*translate)(std::string_view text);
};

const std::vector<OllamaVariable>& ollama_variables();

}  // namespace drover::config

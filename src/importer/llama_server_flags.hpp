// What a command line of llama-server means in Drover's settings. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace drover::importer {

struct LlamaServerModel {
    std::string file;
    /// Settings of the model: ("context", "8192"), in the order of the command line.
    std::vector<std::pair<std::string, std::string>> settings;
    std::vector<std::string> extra_args;  ///< flags that are passed on as they are
    std::vector<std::string> notes;       ///< what was left out, and why
};

/// Whether `program` is llama-server by its name: "/opt/llama-server-b6000" is, "docker" is not.
bool is_llama_server(const std::string& program);

/// Nullopt: it does not name a file, or its file is not on this machine (--hf-repo, --model-url).
std::optional<LlamaServerModel> read_llama_server(const std::vector<std::string>& command);

}  // namespace drover::importer

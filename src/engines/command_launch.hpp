// From a command template to the plan that starts an engine other than llama.cpp's. Pure; any
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/secret.hpp"
#include "config/config.hpp"
#include "engines/launch_plan.hpp"

namespace drover::engines {

/// What stands for the words in braces.
struct CommandLaunch {
    std::filesystem::path socket;         ///< absolute: {socket}, and the mark of the process
    std::uint16_t port = 0;               ///< of 127.0.0.1: {port}
    std::filesystem::path file;           ///< {file}; empty: the model has none
    std::string model;                    ///< {model}: what the engine shall call it
    std::uint32_t context = 0;            ///< {context}, tokens
    std::uint32_t parallel = 1;           ///< {parallel}, requests
    std::uint32_t threads = 0;            ///< {threads}
    Secret key;                           ///< {key}: then every request carries it
    std::vector<std::string> extra_args;  ///< come last, as they are
    std::vector<std::string> parent_environment;  ///< "NAME=value"; what is needed is passed on
    bool fetches = false;                         ///< it downloads its model from the hub itself
};

/// Whether the command or an environment variable of it has `{word}` in it.
bool mentions(const config::ChildSettings& child, std::string_view word);

/// The plan to start it. argv[0] is as it was written. `invalid_argument`: it says neither {socket}
/// nor a port, or both; it asks for a {file} that there is none of.
Result<LaunchPlan> plan_command(const CommandLaunch& launch,
                                const config::ChildSettings& child,
                                const config::EngineConfig& config);

}  // namespace drover::engines

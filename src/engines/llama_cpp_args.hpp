// From a model and its settings to the command line of llama.cpp's llama-server. Pure; any thread.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "engines/engine_devices.hpp"
#include "engines/launch_plan.hpp"
#include "engines/settings.hpp"
#include "models/model_facts.hpp"

namespace drover::engines {

/// What one engine process is to serve, and where.
struct LlamaCppLaunch {
    std::filesystem::path llama_server;  ///< absolute
    std::filesystem::path socket;        ///< absolute, ends in ".sock": that makes it a UNIX socket
    std::filesystem::path model_file;    ///< absolute; of a split model the first part
    std::filesystem::path projector;     ///< of a vision or audio model; empty: none
    std::vector<std::filesystem::path> adapters;  ///< LoRA files, all at full strength
    std::string name;                        ///< what the engine calls the model in its answers
    std::optional<EngineDevices> devices{};  ///< unset: there are no GPUs to choose from
    std::filesystem::path snapshot_dir{};    ///< where it may save slots; empty: nowhere
    std::filesystem::path preload{};         ///< see LocatedEngine; empty: none
    bool sleeps = false;                     ///< when it is told to; needs `preload`
    /// Where it may put weights that are not those of its file when it falls asleep; empty:
    /// nowhere, so that it keeps them in memory.
    std::filesystem::path sleep_dir{};
    /// It computes with all its threads only while no other engine does; needs `preload`.
    bool shares_processors = false;
    std::vector<std::string> environment{};  ///< "NAME=value", as configured
    std::vector<std::string>
        parent_environment;  ///< "NAME=value"; only what is needed is passed on
};

/// The plan to start it. `invalid_argument` when the socket's path cannot be used.
Result<LaunchPlan> plan_llama_cpp(const LlamaCppLaunch& launch,
                                  const ResolvedSettings& settings,
                                  const models::ModelFacts& facts,
                                  const config::EngineConfig& config);

}  // namespace drover::engines

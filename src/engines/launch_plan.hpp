// How to start one engine process: a plain value, made by pure functions (llama_cpp_args, ...) and
// carried out by the supervisor.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engines/endpoint.hpp"

namespace drover::engines {

/// Of the path of a UNIX socket, which has 108 bytes with the final zero on Linux.
inline constexpr std::size_t kSocketPathMax = 107;

/// How an engine gives memory back without ending, see sleep.hpp.
enum class SleepWay {
    llama_cpp,   ///< llama-server with scripts/engine/sleep.cpp
    vllm_light,  ///< vLLM's level 1: its weights wait in host memory
    vllm_deep,   ///< vLLM's level 2: its weights are read again
};

/// Whose names an engine's metrics have, where Drover reads them.
enum class Metrics {
    none,
    llama_cpp,  ///< see PromptCounters
    vllm,       ///< see engine_load.hpp
};

struct LaunchPlan {
    std::vector<std::string> argv;         ///< argv[0] is an absolute path
    std::vector<std::string> environment;  ///< "NAME=value", the whole environment of the child
    /// UNIX socket on which it will listen; with an `endpoint` only its mark (platform/leftovers).
    std::filesystem::path socket;
    std::optional<Endpoint> endpoint{};  ///< unset: the socket
    /// What the guard runs when all of it has ended, for what that left behind; empty: nothing.
    std::vector<std::string> stop_command{};
    /// `argv` runs it under a guard (platform/guard): it may have children of its own.
    bool guarded = false;
    std::vector<SleepWay> sleeps{};  ///< its ways to sleep, the best first; empty: it cannot
    Metrics metrics = Metrics::none;
    std::string health_path = "/health";  ///< answers 200 when it can serve
    std::chrono::milliseconds load_timeout{600'000};
    std::chrono::milliseconds health_timeout{30'000};
    std::chrono::milliseconds stop_timeout{5'000};  ///< 0: killed without being asked

    Endpoint where() const {
        return endpoint.has_value() ? *endpoint : Endpoint::at_socket(socket);
    }
};

}  // namespace drover::engines

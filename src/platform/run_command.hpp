// Runs a program to its end and gives what it printed: probes at start-up, before the loop runs,
// and work that a thread of a pool waits for. Blocks; any thread.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::platform {

/// What a command printed (standard output and error together, at most 64 KiB) and its exit status.
struct CommandOutput {
    std::string text;
    int status = 0;  ///< exit status; 128 + signal when one killed it
};

/// Looks on while a program runs.
struct CommandWatch {
    std::function<void(std::string_view)> on_text{};  ///< hears all that is printed, as it comes
    std::function<bool()> stopped{};                  ///< asked several times a second
};

/// Runs `argv` (argv[0] a path) with our environment and no input. `io_error` when it cannot be
/// started, `timeout` when it does not end in time, `cancelled` when `watch` says so (it is killed
/// then).
Result<CommandOutput> run_command(const std::vector<std::string>& argv,
                                  std::chrono::milliseconds timeout,
                                  const CommandWatch& watch = {});

}  // namespace drover::platform

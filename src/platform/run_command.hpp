// Runs a short program to its end and gives what it printed. For probes at start-up, before the
// loop runs. Blocks; any thread.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace drover::platform {

/// What a command printed (standard output and error together, at most 64 KiB) and its exit status.
struct CommandOutput {
    std::string text;
    int status = 0;  ///< exit status; 128 + signal when one killed it
};

/// Runs `argv` (argv[0] a path) with our environment and no input. `io_error` when it cannot be
/// started, `timeout` when it does not end in time (it is killed then).
Result<CommandOutput> run_command(const std::vector<std::string>& argv,
                                  std::chrono::milliseconds timeout);

}  // namespace drover::platform

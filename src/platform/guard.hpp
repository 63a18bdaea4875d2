// A small process between Drover and an engine that has children of its own: whatever ends, nothing
// of the engine's tree stays behind. It is this program once more, under another name.
#pragma once

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

namespace drover::platform {

/// Tells a guard to kill everything, itself at last; so does its parent's death. SIGKILL to its
/// group would end it before its work.
inline constexpr int kGuardKill = SIGUSR1;

/// The command that runs `argv` under a guard. The guard ends as the engine does, when the engine
/// and all its descendants are gone; on kGuardKill, or when its parent dies, it kills all of them,
/// those in groups and sessions of their own too. Other signals of a group reach the engine alone.
/// In each case it runs `stop_command` then, which may be empty, for what is no descendant; for at
/// most kStopCommandMax.
std::vector<std::string> guarded(const std::vector<std::string>& argv,
                                 const std::vector<std::string>& stop_command = {});

/// Longer than it takes to remove a container, and an end to waiting for one that cannot be.
inline constexpr std::chrono::seconds kStopCommandMax(30);

/// What main() of a program must do first: when it was started by a command of guarded(), it is the
/// guard, and ends with the status that this returns. Nullopt: it was not.
std::optional<int> run_as_guard(int argc, char** argv);

}  // namespace drover::platform

// The life of one engine process: spawn, ready, watched, stopped, gone. On the loop only.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "engines/launch_plan.hpp"
#include "platform/async.hpp"

namespace drover::engines {

//   idle --start()--> starting --healthy--> ready --stop()--> stopping --exit--> gone
//                        \--exit, deadline--> gone    \--exit, hang (killed)--> gone
// No arrow retries by itself: a retry is a new Supervisor, so that the scheduler sees each one.
enum class ProcessState { idle, starting, ready, stopping, gone };

/// How a process ended.
struct ExitReport {
    std::string cause;       ///< for people: "exited with status 1", "killed by signal 9 (SIGKILL)",
                             ///< "did not answer its health check for 30s"
    std::string last_words;  ///< end of what it printed, bounded, without control characters
    bool expected = false;   ///< stop() came first
};

/// Owns one child process and its process group; kills it at destruction if it still lives.
class Supervisor {
  public:
    Supervisor(platform::Loop& loop, LaunchPlan plan);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Spawns the process and returns when it answers its health check, or with `engine_failed`
    /// (cause and last words in the message) or `timeout`; then the process is on its way out.
    /// Called once.
    platform::Task<Status> start();

    /// Asks the process to end: SIGTERM to its group, SIGKILL after `stop_timeout`. Returns at once.
    void stop();

    /// Kills the process group at once, for instance because it hangs; `cause` goes to the report.
    void kill(std::string cause);

    /// Returns when the process is reaped and its memory is back with the system. From ready on it
    /// also watches the process: one that fails its health check for `health_timeout` is killed.
    platform::Task<ExitReport> wait_gone();

    ProcessState state() const;
    pid_t pid() const;
    const LaunchPlan& plan() const;
    /// What it printed last, bounded, without control characters.
    std::string last_words() const;
};

}  // namespace drover::engines

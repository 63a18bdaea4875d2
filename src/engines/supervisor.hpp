// The life of one engine process: spawned, ready, watched, stopped, gone. On the loop only.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

#include "base/result.hpp"
#include "engines/last_words.hpp"
#include "engines/launch_plan.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"
#include "platform/process.hpp"
#include "platform/task_scope.hpp"

namespace drover::engines {

//   idle --start()--> starting --healthy--> ready --stop()--> stopping --exit--> gone
//                        |  \--stop(), deadline--> stopping      ^
//                        \--exit--> gone    ready --hang---------+
//                                           ready --exit--> gone
// No arrow retries by itself: a retry is a new Supervisor, so that the scheduler sees each one.
enum class ProcessState { idle, starting, ready, stopping, gone };

/// How a process ended.
struct ExitReport {
    std::string cause;       ///< for people: "exited with status 1", "did not answer for 30s"
    std::string last_words;  ///< the end of what it printed
    bool expected = false;   ///< stop() was asked for
};

/// Owns one child process with its whole group.
class Supervisor {
  public:
    Supervisor(platform::Loop& loop, LaunchPlan plan);
    /// REQUIRES: wait_gone() has returned, or start() was never called.
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Spawns the process and returns true when it answers its health check; false when it never
    /// will: it ended, was stopped, or was not ready by its load time-out and is being killed. Then
    /// wait_gone() says why. Called once.
    platform::Task<bool> start();

    /// Asks the process to end: SIGTERM to its group, SIGKILL after `stop_timeout`. Returns at once;
    /// a second call does nothing.
    void stop();

    /// Kills the process group at once because it does not work any more; `cause` goes to the report.
    void kill(std::string cause);

    /// Returns when the process is reaped, so that its memory is back with the system.
    platform::Task<ExitReport> wait_gone();

    ProcessState state() const { return state_; }
    /// 0 before start() and when it could not be spawned.
    pid_t pid() const { return child_.has_value() ? child_->pid() : 0; }
    const LaunchPlan& plan() const { return plan_; }

  private:
    platform::Task<> watch_exit();
    platform::Task<> watch_health();
    platform::Task<> read_output();
    platform::Task<> kill_when_stop_takes_too_long();
    void become_gone(std::string cause);

    platform::Loop& loop_;
    LaunchPlan plan_;
    ProcessState state_ = ProcessState::idle;
    std::optional<platform::ChildProcess> child_;
    LastWords last_words_;
    bool output_ended_ = false;
    bool stop_asked_ = false;
    std::string kill_cause_;           ///< why we killed it; empty: we did not
    std::optional<ExitReport> report_;
    platform::Notifier changed_;       ///< told when `state_`, `report_` or `output_ended_` change
    platform::TaskScope tasks_;
};

}  // namespace drover::engines

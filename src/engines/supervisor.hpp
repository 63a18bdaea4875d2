// The life of one engine process: spawned, ready, watched, stopped, gone. On the loop only.
#pragma once

#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/last_words.hpp"
#include "engines/launch_plan.hpp"
#include "platform/async.hpp"
#include "platform/notifier.hpp"
#include "platform/process.hpp"
#include "platform/task_scope.hpp"

namespace drover::engines {

//   idle --start()--> starting --healthy--> ready --stop()--> stopping --exit--> gone
//     |                  |  \--stop(), deadline--> stopping      ^
//     |                  \--exit--> gone    ready --hang---------+
//     |                                     ready --exit--> gone
//     \--stop() and then start(), cannot be spawned--> gone
// No arrow retries by itself: a retry is a new Supervisor, so that the scheduler sees each one.
enum class ProcessState {
    idle,
    starting,
    ready,
    stopping,
    gone
};

/// How a process ended.
struct ExitReport {
    std::string cause;       ///< for people: "exited with status 1", "did not answer for 30s"
    std::string last_words;  ///< the end of what it printed, bounded, printable
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

    /// Spawns the process and returns when it answers its health check, or with the reason why it
    /// never will, and then wait_gone() says more: `engine_failed` (it ended; with its last words),
    /// `timeout` (not ready by its load time-out, and killed), `unavailable` (stop() was called).
    /// A cancelled caller leaves a process that goes on starting. Called once.
    platform::Task<Status> start();

    /// Ends the process: SIGTERM to its group, SIGKILL after `stop_timeout`, or at once when that
    /// is 0. Returns at once; a second call does nothing. Before start(): start() will fail.
    void stop();

    /// Sends `signal` to the process itself, if it is there.
    void signal(int signal);

    /// Kills the process group at once because it does not work any more; `cause` goes to the
    /// report.
    void kill(std::string cause);

    /// Returns when the process is reaped and its group is gone, so that its memory is back with
    /// the system. REQUIRES: start() was called. Shields the calling coroutine from cancellation.
    platform::Task<ExitReport> wait_gone();

    ProcessState state() const { return state_; }
    /// 0 before start() and when it could not be spawned.
    pid_t pid() const { return child_.has_value() ? child_->pid() : 0; }
    const LaunchPlan& plan() const { return plan_; }
    /// The end of what it has printed so far, bounded, printable.
    std::string last_words() const { return last_words_.text(); }

  private:
    Status spawn();
    platform::Task<> watch_exit();
    platform::Task<> watch_load();
    platform::Task<> watch_health();
    platform::Task<> wait_for_next_probe(TimePoint probed, TimePoint next);
    platform::Task<> read_output();
    platform::Task<> kill_when_stop_takes_too_long();
    void kill_tree();
    Error why_not_ready() const;
    void enter(ProcessState state);
    void become_gone(std::string cause);

    platform::Loop& loop_;
    LaunchPlan plan_;
    Endpoint endpoint_;
    ProcessState state_ = ProcessState::idle;
    std::optional<platform::ChildProcess> child_;
    LastWords last_words_;
    bool printed_ = false;  ///< something came since the last probe
    bool output_ended_ = false;
    bool stop_asked_ = false;
    bool load_timed_out_ = false;
    std::string kill_cause_;  ///< why we killed it; empty: we did not
    std::optional<ExitReport> report_;
    platform::Notifier
        changed_;  ///< told when `state_`, `report_`, `printed_` or `output_ended_` change
    platform::TaskScope tasks_;
};

}  // namespace drover::engines

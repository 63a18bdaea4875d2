// A child process in a process group of its own, which dies with us. On the loop only; spawn from
// the thread that lives as long as the server, because the kernel ties the child to it.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/posix/basic_stream_descriptor.hpp>

#include <sys/types.h>

#include "base/result.hpp"
#include "platform/async.hpp"

namespace drover::platform {

/// How a process ended.
struct ExitStatus {
    int code = 0;    ///< exit status, when `signal` is 0
    int signal = 0;  ///< the signal that killed it, or 0

    /// "exited with status 1", "was killed by signal 9 (Killed)".
    std::string describe() const;
};

/// One child. Its standard input is empty; its standard output and error come through one pipe.
/// Killed with its whole group at destruction.
class ChildProcess {
  public:
    /// Starts `argv` (argv[0] an absolute path) with exactly `environment`, and returns once the
    /// program runs. `io_error` when it cannot be executed.
    static Result<ChildProcess> spawn(Loop& loop,
                                      const std::vector<std::string>& argv,
                                      const std::vector<std::string>& environment);

    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&&) = delete;
    ~ChildProcess();

    pid_t pid() const { return pid_; }

    /// Sends `signal` to the whole group. Nothing happens when it is gone.
    void signal_group(int signal);

    /// Sends it to the process alone.
    void signal(int signal);

    /// Returns when the process has ended and is reaped and the rest of its group, which is killed
    /// then, is gone too (or does not go for a second). Once.
    Task<ExitStatus> wait();

    /// The next piece of what it prints, into `buffer`; 0 at the end.
    Task<std::size_t> read_output(char* buffer, std::size_t size);

    /// Ends a read_output() that waits: descendants may keep the pipe open for ever.
    void close_output();

  private:
    using Descriptor = boost::asio::posix::basic_stream_descriptor<Executor>;

    ChildProcess(Loop& loop, pid_t pid, Descriptor exit, Descriptor output);

    Loop& loop_;
    pid_t pid_;
    bool reaped_ = false;
    Descriptor exit_;  ///< a pidfd: readable when the process has ended
    Descriptor output_;
};

}  // namespace drover::platform

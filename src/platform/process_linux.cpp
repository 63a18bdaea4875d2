#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include <boost/asio/buffer.hpp>

#include "base/assert.hpp"
#include "platform/process.hpp"

namespace drover::platform {

namespace {

constexpr int kExecFailed = 127;

/// A file descriptor that closes itself.
class Fd {
  public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&&) = delete;
    ~Fd() {
        if (fd_ >= 0) {
            ::close(fd_);
        }
    }
    int get() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

struct Pipe {
    Fd read_end;
    Fd write_end;
};

Error os_error(const std::string& what, int number) {
    return {ErrorCode::io_error, what + ": " + std::strerror(number)};
}

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return os_error("cannot make a pipe", errno);
    }
    return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& text : strings) {
        result.push_back(const_cast<char*>(text.c_str()));  // NOLINT: execve's signature predates const
    }
    result.push_back(nullptr);
    return result;
}

/// What the forked child does before it becomes the program. Only async-signal-safe calls: other
/// threads may have held locks at the fork.
[[noreturn]] void become(char* const* argv, char* const* envp, int output, int failure, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
        ::_exit(kExecFailed);  // the parent died before the line above
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(output, STDERR_FILENO);
    // Not every descriptor of ours was opened with CLOEXEC (libraries); `failure` must stay until exec.
    ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    ::execve(argv[0], argv, envp);
    const int number = errno;
    [[maybe_unused]] const auto written = ::write(failure, &number, sizeof number);
    ::_exit(kExecFailed);
}

}  // namespace

std::string ExitStatus::describe() const {
    if (signal != 0) {
        return "was killed by signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
    }
    return "exited with status " + std::to_string(code);
}

Result<ChildProcess> ChildProcess::spawn(Loop& loop,
                                         const std::vector<std::string>& argv,
                                         const std::vector<std::string>& environment) {
    DROVER_ASSERT(!argv.empty());
    auto output = make_pipe();
    auto failure = make_pipe();
    if (!output.ok() || !failure.ok()) {
        return output.ok() ? failure.error() : output.error();
    }
    const std::vector<char*> argument_pointers = pointers(argv);
    const std::vector<char*> environment_pointers = pointers(environment);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return os_error("cannot fork", errno);
    }
    if (pid == 0) {
        become(argument_pointers.data(),
               environment_pointers.data(),
               output->write_end.get(),
               failure->write_end.get(),
               parent);
    }
    ::setpgid(pid, pid);  // in both processes: whoever is first, the group exists for signal_group()
    ::close(failure->write_end.release());
    int number = 0;
    if (::read(failure->read_end.get(), &number, sizeof number) == sizeof number) {
        ::waitpid(pid, nullptr, 0);
        return os_error("cannot execute " + argv[0], number);
    }
    Fd exit(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (exit.get() < 0) {
        const Error error = os_error("cannot watch process " + std::to_string(pid), errno);
        ::kill(-pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        return error;
    }
    return ChildProcess(pid,
                        Descriptor(loop, exit.release()),
                        Descriptor(loop, output->read_end.release()));
}

ChildProcess::ChildProcess(pid_t pid, Descriptor exit, Descriptor output)
    : pid_(pid), exit_(std::move(exit)), output_(std::move(output)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(other.pid_),
      reaped_(std::exchange(other.reaped_, true)),
      exit_(std::move(other.exit_)),
      output_(std::move(other.output_)) {}

ChildProcess::~ChildProcess() {
    if (!reaped_) {
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
}

void ChildProcess::signal_group(int signal) {
    if (!reaped_) {  // once reaped the number may belong to somebody else
        ::kill(-pid_, signal);
    }
}

Task<ExitStatus> ChildProcess::wait() {
    ExitStatus status;
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0) {
        co_await exit_.async_wait(Descriptor::wait_read, as_result);
    }
    // Before the leader is reaped, while its number cannot belong to anybody else: what is left of
    // the group are children of the engine that outlived it.
    ::kill(-pid_, SIGKILL);
    int raw = 0;
    ::waitpid(pid_, &raw, 0);
    reaped_ = true;
    if (WIFSIGNALED(raw)) {
        status.signal = WTERMSIG(raw);
    } else {
        status.code = WEXITSTATUS(raw);
    }
    co_return status;
}

Task<std::size_t> ChildProcess::read_output(char* buffer, std::size_t size) {
    const auto [error, count] = co_await output_.async_read_some(asio::buffer(buffer, size), as_result);
    co_return error ? 0 : count;
}

void ChildProcess::close_output() {
    boost::system::error_code ignored;
    output_.close(ignored);
}

}  // namespace drover::platform

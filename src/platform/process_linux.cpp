#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include <boost/asio/buffer.hpp>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.hpp"
#include "platform/clock.hpp"
#include "platform/os_error.hpp"
#include "platform/process.hpp"
#include "platform/process_group.hpp"

namespace drover::platform {

namespace {

constexpr int kExecFailed = 127;
constexpr std::chrono::seconds kGroupGoneMax(1);
constexpr std::chrono::milliseconds kGroupPoll(2);

/// A file descriptor that closes itself.
class Fd {
  public:
    explicit Fd(int fd) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(other.release()) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
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

Result<Pipe> make_pipe() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return os_error("cannot make a pipe", errno);
    }
    Pipe pipe{Fd(ends[0]), Fd(ends[1])};
    // A server started with closed standard streams gets their numbers, which the child overwrites.
    for (Fd* end : {&pipe.read_end, &pipe.write_end}) {
        if (end->get() <= STDERR_FILENO) {
            const int higher = ::fcntl(end->get(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
            if (higher < 0) {
                return os_error("cannot make a pipe", errno);
            }
            *end = Fd(higher);
        }
    }
    return pipe;
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
    std::vector<char*> result;
    result.reserve(strings.size() + 1);
    for (const std::string& text : strings) {
        result.push_back(
            const_cast<char*>(text.c_str()));  // NOLINT: execve's signature predates const
    }
    result.push_back(nullptr);
    return result;
}

/// The child's standard output and error, and where it reports that it cannot become the program.
struct ChildEnds {
    int output;
    int failure;
};

/// Marks all descriptors above standard error to be closed by exec. Not every descriptor of ours
/// was opened with CLOEXEC (libraries).
void close_all_at_exec() {
    constexpr unsigned kFirst = STDERR_FILENO + 1;
    if (::syscall(SYS_close_range, kFirst, ~0U, CLOSE_RANGE_CLOEXEC) == 0) {
        return;
    }
    // Sandboxes with an old list of system calls.
    constexpr int kUsualMax = 1024;
    for (int fd = kFirst; fd < kUsualMax; ++fd) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

/// When memory runs out for the whole machine, the kernel shall end an engine and not the server.
void prefer_as_oom_victim() {
    const int file = ::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    [[maybe_unused]] const auto written = ::write(file, "500", 3);
    ::close(file);
}

/// What the forked child does before it becomes the program. Only async-signal-safe calls: other
/// threads may have held locks at the fork. All signals are blocked when it begins.
[[noreturn]] void become(char* const* argv, char* const* envp, ChildEnds ends, pid_t parent) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) {
        ::_exit(kExecFailed);  // the parent died before the line above
    }
    // Ours would run in the child and write into pipes that it shares with us.
    for (int number = 1; number < NSIG; ++number) {
        ::signal(number, SIG_DFL);
    }
    sigset_t none;
    ::sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    prefer_as_oom_victim();
    const int null = ::open("/dev/null", O_RDONLY);
    ::dup2(null, STDIN_FILENO);
    ::dup2(ends.output, STDOUT_FILENO);
    ::dup2(ends.output, STDERR_FILENO);
    close_all_at_exec();
    ::execve(argv[0], argv, envp);
    const int number = errno;
    [[maybe_unused]] const auto written = ::write(ends.failure, &number, sizeof number);
    ::_exit(kExecFailed);
}

/// Blocks all signals for this thread as long as it lives.
class SignalBlock {
  public:
    SignalBlock() {
        sigset_t all;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalBlock(const SignalBlock&) = delete;
    SignalBlock& operator=(const SignalBlock&) = delete;
    ~SignalBlock() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_{};
};

int wait_for(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

/// The errno of an exec that failed; nullopt: the program runs.
std::optional<int> exec_failure(const Fd& failure) {
    int number = 0;
    ssize_t count = 0;
    do {
        count = ::read(failure.get(), &number, sizeof number);
    } while (count < 0 && errno == EINTR);
    return count == sizeof number ? std::optional(number) : std::nullopt;
}

}  // namespace

std::string ExitStatus::describe() const {
    if (signal == 0) {
        return "exited with status " + std::to_string(code);
    }
    const char* name = ::sigdescr_np(signal);
    return "was killed by signal " + std::to_string(signal) + " (" +
           (name != nullptr ? name : "real-time") + ")";
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
    pid_t pid = 0;
    {
        const SignalBlock block;
        pid = ::fork();
        if (pid == 0) {
            become(argument_pointers.data(),
                   environment_pointers.data(),
                   {.output = output->write_end.get(), .failure = failure->write_end.get()},
                   parent);
        }
    }
    if (pid < 0) {
        return os_error("cannot fork", errno);
    }
    ::setpgid(pid,
              pid);  // in both processes: whoever is first, the group exists for signal_group()
    ::close(failure->write_end.release());
    if (const auto number = exec_failure(failure->read_end); number.has_value()) {
        wait_for(pid);
        return os_error("cannot execute " + argv[0], *number);
    }
    Fd exit(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (exit.get() < 0) {
        const Error error = os_error("cannot watch process " + std::to_string(pid), errno);
        ::kill(-pid, SIGKILL);
        wait_for(pid);
        return error;
    }
    return ChildProcess(
        loop, pid, Descriptor(loop, exit.release()), Descriptor(loop, output->read_end.release()));
}

ChildProcess::ChildProcess(Loop& loop, pid_t pid, Descriptor exit, Descriptor output)
    : loop_(loop), pid_(pid), exit_(std::move(exit)), output_(std::move(output)) {}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : loop_(other.loop_),
      pid_(other.pid_),
      reaped_(std::exchange(other.reaped_, true)),
      exit_(std::move(other.exit_)),
      output_(std::move(other.output_)) {}

ChildProcess::~ChildProcess() {
    if (!reaped_) {
        ::kill(-pid_, SIGKILL);
        wait_for(pid_);
    }
}

void ChildProcess::signal_group(int signal) {
    if (!reaped_) {  // once reaped the number may belong to somebody else
        ::kill(-pid_, signal);
    }
}

void ChildProcess::signal(int signal) {
    if (!reaped_) {
        ::kill(pid_, signal);
    }
}

Task<ExitStatus> ChildProcess::wait() {
    siginfo_t ended{};
    while (::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0) {
        co_await exit_.async_wait(Descriptor::wait_read, as_result);
    }
    // Before the leader is reaped, while its number cannot belong to anybody else: what is left of
    // the group are children of the engine that outlived it.
    ::kill(-pid_, SIGKILL);
    const int raw = wait_for(pid_);
    reaped_ = true;
    // The others are reaped by init, so there is nothing to wait on. A container's init may never
    // do that, hence the bound; their memory is free by then anyway.
    Timer timer(loop_);
    const auto deadline = now() + kGroupGoneMax;
    while (::kill(-pid_, 0) == 0 && !group_members(pid_).empty() && now() < deadline) {
        timer.expires_after(kGroupPoll);
        co_await timer.async_wait(as_result);
    }
    if (WIFSIGNALED(raw)) {
        co_return ExitStatus{.code = 0, .signal = WTERMSIG(raw)};
    }
    co_return ExitStatus{.code = WEXITSTATUS(raw), .signal = 0};
}

Task<std::size_t> ChildProcess::read_output(char* buffer, std::size_t size) {
    const auto [error, count] =
        co_await output_.async_read_some(asio::buffer(buffer, size), as_result);
    co_return error ? 0 : count;
}

void ChildProcess::close_output() {
    boost::system::error_code ignored;
    output_.close(ignored);
}

}  // namespace drover::platform

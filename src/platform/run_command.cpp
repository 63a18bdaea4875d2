#include "platform/run_command.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/os_error.hpp"

extern char** environ;  // NOLINT: POSIX declares it nowhere

namespace drover::platform {

namespace {

constexpr std::size_t kOutputMax = 64UL * 1024;
constexpr int kSignalBase = 128;
/// How often somebody who may stop it is asked.
constexpr std::chrono::milliseconds kAskEvery{100};

enum class End {
    output,  ///< there is no more
    deadline,
    stopped
};

/// Starts the program in a process group of its own with its output going to `output`.
Result<pid_t> spawn(const std::vector<std::string>& argv, int output) {
    std::vector<char*> pointers;
    for (const std::string& argument : argv) {
        pointers.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: exec predates const
    }
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = 0;
    const int failure =
        ::posix_spawn(&pid, pointers[0], &actions, &attributes, pointers.data(), environ);
    ::posix_spawnattr_destroy(&attributes);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
        return os_error(argv[0], failure);
    }
    return pid;
}

/// Reads until the end of the output or the deadline, or until somebody stops it.
End read_all(int fd,
             std::chrono::steady_clock::time_point deadline,
             const CommandWatch& watch,
             std::string& text) {
    std::array<char, 4096> buffer{};
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        if (left.count() <= 0) {
            return End::deadline;
        }
        if (watch.stopped && watch.stopped()) {
            return End::stopped;
        }
        pollfd wait{fd, POLLIN, 0};
        const int ready = ::poll(&wait, 1, static_cast<int>(std::min(left, kAskEvery).count()));
        if (ready < 0 && errno != EINTR) {
            return End::deadline;
        }
        if (ready <= 0) {
            continue;
        }
        const ssize_t count = ::read(fd, buffer.data(), buffer.size());
        if (count == 0) {
            return End::output;
        }
        if (count > 0 && watch.on_text) {
            watch.on_text({buffer.data(), static_cast<std::size_t>(count)});
        }
        if (count > 0 && text.size() < kOutputMax) {
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }
}

int reap(pid_t pid) {
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

Result<CommandOutput> run_command(const std::vector<std::string>& argv,
                                  std::chrono::milliseconds timeout,
                                  const CommandWatch& watch) {
    DROVER_ASSERT(!argv.empty());
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return os_error("cannot make a pipe", errno);
    }
    const auto pid = spawn(argv, ends[1]);
    ::close(ends[1]);
    if (!pid.ok()) {
        ::close(ends[0]);
        return pid.error();
    }
    CommandOutput output;
    const End end =
        read_all(ends[0], std::chrono::steady_clock::now() + timeout, watch, output.text);
    ::close(ends[0]);
    if (end != End::output) {
        ::kill(-*pid, SIGKILL);
    }
    // A program that closed its output but goes on would be waited for; --version does not do that.
    output.status = reap(*pid);
    if (end == End::stopped) {
        return Error{ErrorCode::cancelled, argv[0] + " was stopped"};
    }
    if (end == End::deadline) {
        return Error{ErrorCode::timeout,
                     argv[0] + " did not end within " + std::to_string(timeout.count()) + " ms"};
    }
    return output;
}

}  // namespace drover::platform

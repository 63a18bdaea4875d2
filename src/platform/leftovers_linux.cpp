#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/leftovers.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMarkName = "DROVER_ENGINE=";
constexpr Bytes kEnvironmentMax = 4_MiB;
constexpr std::chrono::milliseconds kKillMax(2'000);

/// Whether the environment of process `pid` has an entry that begins with `mark`. False when it is
/// not ours to read.
bool carries(const std::string& pid, const std::string& mark) {
    const auto environment = read_file("/proc/" + pid + "/environ", kEnvironmentMax);
    return environment.ok() && (environment->compare(0, mark.size(), mark) == 0 ||
                                environment->find('\0' + mark) != std::string::npos);
}

std::vector<pid_t> all_processes() {
    std::vector<pid_t> pids;
    std::error_code error;
    for (fs::directory_iterator entry("/proc", error), end; !error && entry != end;
         entry.increment(error)) {
        const std::string name = entry->path().filename();
        pid_t pid = 0;
        const auto [rest, failure] = std::from_chars(name.data(), name.data() + name.size(), pid);
        if (failure == std::errc() && rest == name.data() + name.size() && pid != ::getpid()) {
            pids.push_back(pid);
        }
    }
    return pids;
}

/// Kills the process if it carries the mark; gives its pidfd then, else -1. The order matters: the
/// pidfd pins the process, so that the number cannot change hands between look and kill.
int kill_if_marked(pid_t pid, const std::string& mark) {
    if (!carries(std::to_string(pid), mark)) {
        return -1;
    }
    const int process = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (process < 0) {
        return -1;
    }
    if (!carries(std::to_string(pid), mark) ||
        ::syscall(SYS_pidfd_send_signal, process, SIGKILL, nullptr, 0) != 0) {
        ::close(process);
        return -1;
    }
    return process;
}

/// Returns when the process of `pidfd` has ended, at the latest at `deadline`.
void wait_until_ended(int pidfd, TimePoint deadline) {
    pollfd wait{.fd = pidfd, .events = POLLIN, .revents = 0};
    int ready = 0;
    do {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now());
        ready = ::poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    } while (ready < 0 && errno == EINTR);
}

}  // namespace

std::string leftover_mark(const fs::path& socket) {
    return std::string(kMarkName) + socket.string();
}

std::size_t kill_leftovers(const fs::path& directory) {
    const std::string mark = leftover_mark(directory) + "/";
    const TimePoint deadline = now() + kKillMax;
    std::size_t killed = 0;
    // Again until a round finds none: a process may fork while we look at others.
    for (std::size_t found = 1; found > 0 && now() < deadline; killed += found) {
        found = 0;
        for (const pid_t pid : all_processes()) {
            if (const int process = kill_if_marked(pid, mark); process >= 0) {
                ++found;
                wait_until_ended(process, deadline);
                ::close(process);
            }
        }
    }
    return killed;
}

Result<RuntimeDirectory> RuntimeDirectory::claim(const fs::path& path) {
    DROVER_TRY(make_private_directory(path));
    const fs::path file = path / "lock";
    const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0) {
        return Error{
            ErrorCode::io_error,
            "cannot make " + file.string() + ": " + std::generic_category().message(errno)};
    }
    if (::flock(lock, LOCK_EX | LOCK_NB) != 0) {
        ::close(lock);
        return Error{ErrorCode::unavailable,
                     "another Drover uses " + path.string() +
                         "; stop it, or give this one its own folder with DROVER_RUNTIME_DIR"};
    }
    const std::size_t killed = kill_leftovers(path);
    std::error_code error;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end;
         entry.increment(error)) {
        if (entry->path().extension() == ".sock") {
            std::error_code ignored;
            fs::remove(entry->path(), ignored);
        }
    }
    return RuntimeDirectory(path, lock, killed);
}

RuntimeDirectory::RuntimeDirectory(RuntimeDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      lock_(std::exchange(other.lock_, -1)),
      killed_(other.killed_) {}

RuntimeDirectory::~RuntimeDirectory() {
    if (lock_ >= 0) {
        ::close(lock_);
    }
}

}  // namespace drover::platform

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string_view>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/guard.hpp"

namespace drover::platform {

namespace {

constexpr std::string_view kName = "--drover-guard";
constexpr int kCannotExecute = 127;

template <typename Number>
Number number_of(std::string_view text) {
    Number number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

/// The children of this process, those that it inherited included. One thread has them all: the
/// guard has only one.
std::vector<pid_t> children() {
    std::vector<pid_t> pids;
    std::ifstream list("/proc/self/task/" + std::to_string(::getpid()) + "/children");
    for (pid_t pid = 0; list >> pid;) {
        pids.push_back(pid);
    }
    return pids;
}

/// Kills what is left. A descendant becomes a child when its own parent is gone, so that every
/// round reaches one level more, and it ends when there are none.
void kill_descendants() {
    int status = 0;
    do {
        for (const pid_t pid : children()) {
            ::kill(pid, SIGKILL);
        }
    } while (::waitpid(-1, &status, 0) > 0 || errno == EINTR);
}

/// Ends this process as `status` says another one did.
int end_like(int status) {
    if (WIFSIGNALED(status)) {
        ::signal(WTERMSIG(status), SIG_DFL);
        sigset_t one;
        ::sigemptyset(&one);
        ::sigaddset(&one, WTERMSIG(status));
        ::sigprocmask(SIG_UNBLOCK, &one, nullptr);
        ::raise(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}

[[noreturn]] void become(char** argv, pid_t guard, const sigset_t& mask) {
    // The kernel's signal for a guard that is killed itself.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == guard) {
        ::sigprocmask(SIG_SETMASK, &mask, nullptr);
        ::execv(argv[0], argv);
        std::fprintf(stderr, "cannot execute %s: %s\n", argv[0], std::strerror(errno));
    }
    ::_exit(kCannotExecute);
}

/// Reaps what has ended; the status of `engine` when it is among them.
std::optional<int> reap_all(pid_t engine) {
    std::optional<int> ended;
    int status = 0;
    for (pid_t pid = 0; (pid = ::waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid == engine) {
            ended = status;
        }
    }
    return ended;
}

/// Runs `argv` and all that it starts to their end. SIGPIPE is ignored: when Drover is gone nobody
/// reads what it prints.
void run_stop_command(char** argv, const sigset_t& all, const sigset_t& before) {
    const pid_t self = ::getpid();
    const pid_t command = ::fork();
    if (command == 0) {
        ::signal(SIGPIPE, SIG_IGN);
        become(argv, self, before);
    }
    const auto deadline = std::chrono::steady_clock::now() + kStopCommandMax;
    bool ended = command < 0;
    while (!ended && std::chrono::steady_clock::now() < deadline) {
        const timespec second{.tv_sec = 1, .tv_nsec = 0};
        ::sigtimedwait(&all, nullptr, &second);
        ended = reap_all(command).has_value();
    }
    kill_descendants();
}

/// `argv` is the engine's, `stop_argv` what comes after it; both end with a null.
int guard(pid_t parent, char** argv, char** stop_argv) {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_PDEATHSIG, kGuardKill);
    if (::getppid() != parent) {
        return kCannotExecute;  // it died before the line above
    }
    const pid_t self = ::getpid();
    const pid_t engine = ::fork();
    if (engine == 0) {
        become(argv, self, before);
    }
    std::optional<int> ended;
    bool kill_all = engine < 0;
    while (!ended.has_value() && !kill_all) {
        siginfo_t signal{};
        ::sigwaitinfo(&all, &signal);
        kill_all = signal.si_signo == kGuardKill;
        ended = reap_all(engine);
    }
    kill_descendants();
    if (*stop_argv != nullptr) {
        run_stop_command(stop_argv, all, before);
    }
    return ended.has_value() ? end_like(*ended) : end_like(SIGKILL);
}

}  // namespace

std::vector<std::string> guarded(const std::vector<std::string>& argv,
                                 const std::vector<std::string>& stop_command) {
    std::vector<std::string> command{"/proc/self/exe",
                                     std::string(kName),
                                     std::to_string(::getpid()),
                                     std::to_string(argv.size())};
    command.insert(command.end(), argv.begin(), argv.end());
    command.insert(command.end(), stop_command.begin(), stop_command.end());
    return command;
}

std::optional<int> run_as_guard(int argc, char** argv) {
    constexpr int kOwn = 4;  // this program, the name, the parent, how many words the engine has
    if (argc <= kOwn || argv[1] != kName) {
        return std::nullopt;
    }
    const std::vector<char*> words(argv + kOwn, argv + argc);
    const auto count =
        std::clamp(number_of<std::ptrdiff_t>(argv[3]), std::ptrdiff_t{1}, std::ssize(words));
    std::vector<char*> engine(words.begin(), words.begin() + count);
    std::vector<char*> stop(words.begin() + count, words.end());
    engine.push_back(nullptr);
    stop.push_back(nullptr);
    return guard(number_of<pid_t>(argv[2]), engine.data(), stop.data());
}

}  // namespace drover::platform

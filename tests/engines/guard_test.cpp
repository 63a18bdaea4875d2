// Engines under a guard: nothing of their tree stays behind, wherever it hides.
#include "platform/guard.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engines/supervisor.hpp"
#include "platform/files.hpp"
#include "platform/leftovers.hpp"
#include "platform/memory_probe.hpp"
#include "platform/process.hpp"
#include "platform/process_group.hpp"
#include "support/on_loop.hpp"
#include "support/temp_dir.hpp"

namespace drover::engines {
namespace {

using platform::Loop;
using platform::Task;
using ::testing::HasSubstr;

std::vector<std::string> environment() {
    std::vector<std::string> result;
    for (const char* name : {"PATH", "ASAN_OPTIONS", "TSAN_OPTIONS"}) {
        if (const char* value = std::getenv(name); value != nullptr) {
            result.push_back(std::string(name) + "=" + value);
        }
    }
    return result;
}

class GuardTest : public ::testing::Test {
  protected:
    LaunchPlan plan(const std::string& directives) const {
        LaunchPlan plan;
        plan.socket = dir_ / "engine.sock";
        plan.argv = platform::guarded(
            {FAKE_ENGINE, "--host", plan.socket.string(), "-m", "x", "--fake", directives});
        plan.argv.front() = ENGINE_HOST;  // this program's main is not ours
        plan.guarded = true;
        plan.environment = environment();
        return plan;
    }

    /// Starts an engine, lets `act` do something to it, and returns how it ended.
    template <typename Act>
    ExitReport end_of(const LaunchPlan& plan, Act act) {
        ExitReport report;
        testing::on_loop([&](Loop& loop) -> Task<> {
            Supervisor supervisor(loop, plan);
            const Status ready = co_await supervisor.start();
            if (ready.ok()) {
                act(supervisor);
            }
            report = co_await supervisor.wait_gone();
        });
        return report;
    }

    /// How many processes of the engine's tree are still there. Ends them.
    std::size_t left() const { return platform::kill_leftovers(dir_.path()); }

    testing::TempDir dir_;
};

/// The engine itself: the guard's only child in its group.
pid_t engine_of(const Supervisor& supervisor) {
    for (const pid_t pid : platform::group_members(supervisor.pid())) {
        if (pid != supervisor.pid()) {
            return pid;
        }
    }
    return 0;
}

TEST_F(GuardTest, StopsWhatLeftTheGroup) {
    const auto stop = [](Supervisor& supervisor) {
        supervisor.stop();
    };
    EXPECT_TRUE(end_of(plan("grandchild-session"), stop).expected);
    EXPECT_EQ(left(), 0U);
}

TEST_F(GuardTest, KillsWhatLeftTheGroup) {
    LaunchPlan impatient = plan("grandchild-session,ignore-term");
    impatient.stop_timeout = std::chrono::milliseconds(0);
    const auto stop = [](Supervisor& supervisor) {
        supervisor.stop();
    };
    EXPECT_TRUE(end_of(impatient, stop).expected);
    EXPECT_EQ(left(), 0U);
}

TEST_F(GuardTest, EndsAsTheEngineDoes) {
    EXPECT_EQ(end_of(plan("exit-at-start=3"), [](Supervisor&) {}).cause, "exited with status 3");
    const auto crash = [](Supervisor& supervisor) {
        ::kill(engine_of(supervisor), SIGKILL);
    };
    EXPECT_THAT(end_of(plan("grandchild-session"), crash).cause, HasSubstr("signal 9"));
    EXPECT_EQ(left(), 0U);
}

TEST_F(GuardTest, TakesTheEngineAlongWhenItIsKilledItself) {
    const auto crash = [](Supervisor& supervisor) {
        ::kill(supervisor.pid(), SIGKILL);
    };
    EXPECT_THAT(end_of(plan("worker"), crash).cause, HasSubstr("signal 9"));
    EXPECT_EQ(left(), 0U);
}

TEST_F(GuardTest, RunsTheStopCommandHoweverTheEngineEnded) {
    const std::vector<std::function<void(Supervisor&)>> ends = {
        [](Supervisor& supervisor) { supervisor.stop(); },
        [](Supervisor& supervisor) { supervisor.kill("hung"); },
        [](Supervisor& supervisor) {
            ::kill(engine_of(supervisor), SIGKILL);
        }};
    const std::filesystem::path mark = dir_ / "mark";
    for (const auto& end : ends) {
        LaunchPlan with_command = plan("grandchild-session");
        with_command.argv = platform::guarded(
            {FAKE_ENGINE, "--host", with_command.socket.string(), "-m", "x"},
            {"/bin/sh", "-c", "echo stopped; sleep 600 & exec touch " + mark.string()});
        with_command.argv.front() = ENGINE_HOST;
        EXPECT_THAT(end_of(with_command, end).last_words, HasSubstr("stopped"));
        EXPECT_TRUE(std::filesystem::remove(mark));
        EXPECT_EQ(left(), 0U);
    }
}

TEST_F(GuardTest, SaysWhatCannotBeRun) {
    LaunchPlan wrong = plan("");
    wrong.argv = platform::guarded({"/nonexistent/server"});
    wrong.argv.front() = ENGINE_HOST;
    const ExitReport report = end_of(wrong, [](Supervisor&) {});
    EXPECT_EQ(report.cause, "exited with status 127");
    EXPECT_THAT(report.last_words, HasSubstr("cannot execute /nonexistent/server"));
}

TEST_F(GuardTest, MeasuresTheWholeGroup) {
    const auto measure = [](Supervisor& supervisor) {
        const auto alone = platform::process_pss(supervisor.pid());
        const auto all = platform::group_pss(supervisor.pid());
        EXPECT_TRUE(alone.ok() && all.ok());
        EXPECT_GT((all->total - alone->total).count(), (100_MiB).count());
        supervisor.stop();
    };
    EXPECT_TRUE(end_of(plan("alloc=128"), measure).expected);
}

TEST_F(GuardTest, EndsTheTreeOfAKilledServer) {
    // The server is killed with -9: nothing of ours can run there. The guard hears of it from the
    // kernel; without it the grandchild would stay until the next server starts.
    testing::on_loop([&](Loop& loop) -> Task<> {
        const std::string socket = dir_ / "engine.sock";
        auto host = platform::ChildProcess::spawn(loop,
                                                  {ENGINE_HOST,
                                                   "--guarded",
                                                   socket,
                                                   FAKE_ENGINE,
                                                   "--host",
                                                   socket,
                                                   "--fake",
                                                   "grandchild-session"},
                                                  environment());
        EXPECT_TRUE(host.ok());
        std::string text(100, '\0');
        text.resize(co_await host->read_output(text.data(), text.size()));
        const pid_t guard = std::atoi(text.c_str());
        EXPECT_GT(guard, 0) << text;
        const int watched = static_cast<int>(::syscall(SYS_pidfd_open, guard, 0));
        ::kill(host->pid(), SIGKILL);
        co_await host->wait();
        pollfd wait{.fd = watched, .events = POLLIN, .revents = 0};
        EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
        ::close(watched);
        EXPECT_EQ(left(), 0U);
    });
}

}  // namespace
}  // namespace drover::engines

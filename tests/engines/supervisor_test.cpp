// The supervisor with an engine that misbehaves on command.
#include "engines/supervisor.hpp"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "platform/clock.hpp"
#include "platform/leftovers.hpp"
#include "platform/process.hpp"
#include "platform/process_group.hpp"
#include "platform/task_scope.hpp"
#include "support/on_loop.hpp"
#include "support/temp_dir.hpp"

namespace drover::engines {
namespace {

using platform::Loop;
using platform::Task;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// What an engine needs of the environment; sanitizers want theirs.
std::vector<std::string> environment() {
    std::vector<std::string> result;
    for (const char* name : {"PATH", "ASAN_OPTIONS", "TSAN_OPTIONS"}) {
        if (const char* value = std::getenv(name); value != nullptr) {
            result.push_back(std::string(name) + "=" + value);
        }
    }
    return result;
}

bool group_lives(pid_t group) {
    return !platform::group_members(group).empty();
}

/// Returns when the process has ended (true), at the latest after ten seconds.
bool ends(pid_t pid) {
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (fd < 0) {
        return true;
    }
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, 10'000);
    ::close(fd);
    return ready == 1;
}

class SupervisorTest : public ::testing::Test {
  protected:
    LaunchPlan plan(const std::string& directives) const {
        LaunchPlan plan;
        plan.socket = dir_ / "engine.sock";
        plan.argv = {
            FAKE_ENGINE, "--host", plan.socket.string(), "-m", "x.gguf", "--fake", directives};
        plan.environment = environment();
        return plan;
    }

    /// Starts an engine with these directives and returns how its start failed and how it ended.
    struct Failure {
        Error error;
        ExitReport report;
    };
    Failure failure_of(LaunchPlan plan) {
        Failure failure;
        testing::on_loop([&](Loop& loop) -> Task<> {
            Supervisor supervisor(loop, plan);
            const Status ready = co_await supervisor.start();
            EXPECT_FALSE(ready.ok());
            if (ready.ok()) {
                supervisor.stop();
            } else {
                failure.error = ready.error();
            }
            failure.report = co_await supervisor.wait_gone();
            EXPECT_EQ(supervisor.state(), ProcessState::gone);
            EXPECT_FALSE(std::filesystem::exists(plan.socket));
            EXPECT_TRUE(supervisor.pid() == 0 || !group_lives(supervisor.pid()));
        });
        return failure;
    }

    /// Starts an engine, lets `act` do something to it, and returns how it ended.
    template <typename Act>
    ExitReport end_of(LaunchPlan plan, Act act) {
        ExitReport report;
        testing::on_loop([&](Loop& loop) -> Task<> {
            Supervisor supervisor(loop, plan);
            const Status ready = co_await supervisor.start();
            EXPECT_TRUE(ready.ok()) << ready.error().message;
            co_await act(loop, supervisor);
            report = co_await supervisor.wait_gone();
            EXPECT_FALSE(std::filesystem::exists(plan.socket));
            EXPECT_FALSE(group_lives(supervisor.pid()));
        });
        return report;
    }

    testing::TempDir dir_;
};

/// Sends a request and does not wait for its answer.
Task<> send_request(Loop& loop, const Supervisor& supervisor, std::string directives) {
    platform::UnixSocket socket(loop);
    const auto [refused] =
        co_await socket.async_connect(supervisor.plan().socket.string(), platform::as_result);
    EXPECT_FALSE(refused) << refused.message();
    const std::string request =
        "POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nx-fake: " + directives +
        "\r\n\r\n";
    co_await boost::asio::async_write(socket, boost::asio::buffer(request), platform::as_result);
}

Task<> ask_to_stop(Loop& /*loop*/, Supervisor& supervisor) {
    supervisor.stop();
    EXPECT_EQ(supervisor.state(), ProcessState::stopping);
    co_return;
}

TEST_F(SupervisorTest, StartsWatchesAndStops) {
    const ExitReport report =
        end_of(plan("load=30"), [](Loop& /*loop*/, Supervisor& supervisor) -> Task<> {
            EXPECT_EQ(supervisor.state(), ProcessState::ready);
            EXPECT_TRUE(std::filesystem::exists(supervisor.plan().socket));
            EXPECT_THAT(supervisor.last_words(), HasSubstr("model loaded"));
            supervisor.stop();
            supervisor.stop();
            co_return;
        });
    EXPECT_TRUE(report.expected);
    EXPECT_EQ(report.cause, "exited with status 0");
}

TEST_F(SupervisorTest, ReplacesAStaleSocket) {
    std::ofstream(dir_ / "engine.sock") << "stale";
    EXPECT_TRUE(end_of(plan(""), ask_to_stop).expected);
}

TEST_F(SupervisorTest, AnExitAtStartIsTheReasonWithItsLastWords) {
    const auto failure = failure_of(plan("load=5,message=out of memory,exit-at-start=7"));
    EXPECT_EQ(failure.error.code, ErrorCode::engine_failed);
    EXPECT_THAT(failure.error.message,
                AllOf(HasSubstr("exited with status 7"), HasSubstr("out of memory")));
    EXPECT_THAT(failure.report.last_words, HasSubstr("out of memory"));
    EXPECT_FALSE(failure.report.expected);
}

TEST_F(SupervisorTest, ACrashAtStartNamesTheSignal) {
    const auto failure = failure_of(plan("signal-at-start=11"));
    EXPECT_EQ(failure.error.code, ErrorCode::engine_failed);
    EXPECT_THAT(failure.error.message, HasSubstr("signal 11 (Segmentation fault)"));
}

TEST_F(SupervisorTest, AProgramThatIsMissingIsNamed) {
    LaunchPlan missing = plan("");
    missing.argv[0] = "/no/such/engine";
    const auto failure = failure_of(missing);
    EXPECT_EQ(failure.error.code, ErrorCode::engine_failed);
    EXPECT_THAT(failure.error.message,
                AllOf(HasSubstr("/no/such/engine"), HasSubstr("No such file")));
}

TEST_F(SupervisorTest, ASocketPathThatIsTooLongIsRefused) {
    LaunchPlan too_long = plan("");
    too_long.socket = dir_ / std::string(120, 's');
    EXPECT_THAT(failure_of(too_long).error.message, HasSubstr("DROVER_RUNTIME_DIR"));
}

TEST_F(SupervisorTest, ALoadThatHangsIsKilledAtItsTimeout) {
    for (const char* how : {"load-hang", "load-silent", "listen=60000", "health-garbage"}) {
        LaunchPlan hanging = plan(how);
        hanging.load_timeout = milliseconds(150);
        const TimePoint begun = platform::now();
        const auto failure = failure_of(hanging);
        EXPECT_EQ(failure.error.code, ErrorCode::timeout) << how;
        EXPECT_THAT(failure.report.cause, HasSubstr("not ready after 150ms")) << how;
        EXPECT_FALSE(failure.report.expected);
        EXPECT_LT(platform::now() - begun, seconds(10)) << how;
    }
}

TEST_F(SupervisorTest, StopWhileStartingEndsTheStart) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        Supervisor supervisor(loop, plan("load-hang"));
        platform::TaskScope tasks(loop);
        Status ready;
        tasks.spawn("start", [&]() -> Task<> { ready = co_await supervisor.start(); });
        EXPECT_EQ(supervisor.state(), ProcessState::starting);
        supervisor.stop();
        co_await tasks.join();
        EXPECT_FALSE(ready.ok());
        EXPECT_EQ(ready.error().code, ErrorCode::unavailable);
        EXPECT_TRUE((co_await supervisor.wait_gone()).expected);
    });
}

TEST_F(SupervisorTest, StopBeforeStartIsNotForgotten) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        Supervisor supervisor(loop, plan(""));
        supervisor.stop();
        EXPECT_EQ((co_await supervisor.start()).error().code, ErrorCode::unavailable);
        EXPECT_EQ(supervisor.pid(), 0);
        EXPECT_TRUE((co_await supervisor.wait_gone()).expected);
    });
}

TEST_F(SupervisorTest, ACancelledStarterLeavesASupervisedProcess) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        Supervisor supervisor(loop, plan("load-hang"));
        platform::TaskScope tasks(loop);
        tasks.spawn("start", [&]() -> Task<> { (void)co_await supervisor.start(); });
        tasks.cancel();
        co_await tasks.join();
        EXPECT_EQ(supervisor.state(), ProcessState::starting);
        supervisor.stop();
        EXPECT_TRUE((co_await supervisor.wait_gone()).expected);
    });
}

TEST_F(SupervisorTest, ACrashWhileServingIsReported) {
    const ExitReport report = end_of(plan(""), [](Loop& loop, Supervisor& supervisor) -> Task<> {
        co_await send_request(loop, supervisor, "crash");
    });
    EXPECT_EQ(report.cause, "was killed by signal 11 (Segmentation fault)");
    EXPECT_FALSE(report.expected);
}

TEST_F(SupervisorTest, AnEngineThatFallsSilentIsKilled) {
    LaunchPlan silent = plan("");
    silent.health_timeout = milliseconds(200);
    const ExitReport report = end_of(silent, [](Loop& loop, Supervisor& supervisor) -> Task<> {
        co_await send_request(loop, supervisor, "freeze");
    });
    EXPECT_THAT(report.cause, HasSubstr("did not answer its health check for 200ms"));
    EXPECT_FALSE(report.expected);
}

TEST_F(SupervisorTest, AStoppedEngineIsKilled) {
    LaunchPlan stopped = plan("");
    stopped.health_timeout = milliseconds(200);
    const ExitReport report = end_of(stopped, [](Loop& /*loop*/, Supervisor& supervisor) -> Task<> {
        ::kill(supervisor.pid(), SIGSTOP);
        co_return;
    });
    EXPECT_THAT(report.cause, HasSubstr("did not answer its health check"));
}

TEST_F(SupervisorTest, AnEngineThatIgnoresTheRequestToStopIsKilled) {
    LaunchPlan stubborn = plan("ignore-term");
    stubborn.stop_timeout = milliseconds(100);
    const ExitReport report = end_of(stubborn, ask_to_stop);
    EXPECT_EQ(report.cause, "was killed by signal 9 (Killed)");
    EXPECT_TRUE(report.expected);
}

TEST_F(SupervisorTest, AnEngineWithoutTimeToStopIsKilledAtOnce) {
    LaunchPlan disposable = plan("ignore-term");
    disposable.stop_timeout = milliseconds(0);
    const ExitReport report = end_of(disposable, ask_to_stop);
    EXPECT_EQ(report.cause, "was killed by signal 9 (Killed)");
    EXPECT_TRUE(report.expected);
}

TEST_F(SupervisorTest, KillGivesItsCauseToTheReport) {
    const ExitReport report =
        end_of(plan(""), [](Loop& /*loop*/, Supervisor& supervisor) -> Task<> {
            supervisor.kill("owed an answer for 10m");
            supervisor.kill("another cause");
            co_return;
        });
    EXPECT_EQ(report.cause, "owed an answer for 10m");
    EXPECT_FALSE(report.expected);
}

TEST_F(SupervisorTest, GrandchildrenThatHoldTheOutputDieWithTheGroup) {
    EXPECT_TRUE(end_of(plan("grandchild"), ask_to_stop).expected);
}

TEST_F(SupervisorTest, GrandchildrenThatLeftTheGroupAreNotWaitedForAndSweptLater) {
    const ExitReport report = end_of(plan("grandchild-session"), ask_to_stop);
    EXPECT_TRUE(report.expected);
    EXPECT_EQ(platform::kill_leftovers(dir_.path()), 1U);
    EXPECT_EQ(platform::kill_leftovers(dir_.path()), 0U);
}

TEST_F(SupervisorTest, GarbageInTheOutputBecomesHarmlessLastWords) {
    const ExitReport report = end_of(plan("binary"), ask_to_stop);
    EXPECT_LT(report.last_words.size(), 2000U);
    for (const char c : report.last_words) {
        EXPECT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
    }
}

TEST_F(SupervisorTest, AFloodOfOutputHoldsUpNothing) {
    LaunchPlan flooding = plan("flood,load=20");
    flooding.health_timeout = milliseconds(2000);
    const ExitReport report = end_of(flooding, [](Loop& loop, Supervisor& supervisor) -> Task<> {
        // Two health checks long.
        platform::Timer timer(loop, milliseconds(2100));
        co_await timer.async_wait(platform::as_result);
        EXPECT_EQ(supervisor.state(), ProcessState::ready);
        supervisor.stop();
    });
    EXPECT_TRUE(report.expected);
    EXPECT_THAT(report.last_words, Not(HasSubstr("\n")));
}

TEST_F(SupervisorTest, AKilledServerLeavesNoEngine) {
    // The host is killed with -9, so nothing of ours can run there; the kernel must do it. What is
    // left after that is a grandchild in its own session, which the next server finds.
    testing::on_loop([&](Loop& loop) -> Task<> {
        const std::string socket = dir_ / "engine.sock";
        auto host = platform::ChildProcess::spawn(
            loop,
            {ENGINE_HOST, socket, FAKE_ENGINE, "--host", socket, "--fake", "grandchild-session"},
            environment());
        EXPECT_TRUE(host.ok());
        std::string text(100, '\0');
        text.resize(co_await host->read_output(text.data(), text.size()));
        const pid_t engine = std::atoi(text.c_str());
        EXPECT_GT(engine, 0) << text;
        EXPECT_EQ(::kill(engine, 0), 0);
        ::kill(host->pid(), SIGKILL);
        co_await host->wait();
        EXPECT_TRUE(ends(engine));
        auto claimed = platform::RuntimeDirectory::claim(dir_.path());
        EXPECT_TRUE(claimed.ok()) << claimed.error().message;
        EXPECT_EQ(claimed->killed(), 1U);
        EXPECT_FALSE(std::filesystem::exists(socket));
    });
}

}  // namespace
}  // namespace drover::engines

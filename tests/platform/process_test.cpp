#include "platform/process.hpp"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/clock.hpp"
#include "platform/process_group.hpp"
#include "platform/task_scope.hpp"
#include "support/on_loop.hpp"

namespace drover::platform {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

struct Outcome {
    std::string output;
    ExitStatus status;
};

/// Runs a shell script to its end.
Outcome run_script(const std::string& script, std::vector<std::string> environment = {}) {
    Outcome outcome;
    testing::on_loop([&](Loop& loop) -> Task<> {
        auto child = ChildProcess::spawn(loop, {"/bin/sh", "-c", script}, environment);
        EXPECT_TRUE(child.ok());
        std::string buffer(4096, '\0');
        while (const std::size_t count =
                   co_await child->read_output(buffer.data(), buffer.size())) {
            outcome.output += buffer.substr(0, count);
        }
        outcome.status = co_await child->wait();
    });
    return outcome;
}

TEST(ChildProcess, GivesOutputAndErrorsThroughOnePipe) {
    const Outcome outcome = run_script("echo out; echo err >&2; exit 7");
    EXPECT_EQ(outcome.output, "out\nerr\n");
    EXPECT_EQ(outcome.status.describe(), "exited with status 7");
}

TEST(ChildProcess, HasAnEmptyInputAndExactlyItsEnvironment) {
    EXPECT_EQ(run_script("cat; echo $A-$HOME-", {"A=1"}).output, "1--\n");
}

TEST(ChildProcess, InheritsNoDescriptor) {
    const int leak = ::open("/dev/null", O_RDONLY);  // NOLINT: without CLOEXEC on purpose
    ASSERT_GE(leak, 0);
    const Outcome outcome = run_script("ls /proc/self/fd | tr '\\n' ' '", {"PATH=/usr/bin:/bin"});
    ::close(leak);
    EXPECT_EQ(outcome.output, "0 1 2 3 ");  // the last is the folder that ls reads
}

TEST(ChildProcess, StartsWithUsualSignals) {
    sigset_t mask;
    ::sigemptyset(&mask);
    ::sigaddset(&mask, SIGTERM);
    sigset_t before;
    ::sigprocmask(SIG_BLOCK, &mask, &before);
    ::signal(SIGPIPE, SIG_IGN);
    const Outcome outcome = run_script("grep -E 'SigBlk|SigIgn' /proc/self/status", {"PATH=/bin"});
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(outcome.output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

TEST(ChildProcess, IsEndedBeforeUsWhenMemoryRunsOut) {
    EXPECT_EQ(run_script("cat /proc/self/oom_score_adj", {"PATH=/bin"}).output, "500\n");
}

TEST(ChildProcess, LeadsItsOwnGroup) {
    EXPECT_THAT(
        run_script("ps -o pid=,pgid= -p $$ | awk '{print $1 - $2}'", {"PATH=/usr/bin:/bin"}).output,
        ::testing::AnyOf("0\n", ""));  // "": no ps here
}

TEST(ChildProcess, AProgramThatCannotRunIsAnError) {
    Loop loop(1);
    const auto missing = ChildProcess::spawn(loop, {"/no/such/program"}, {});
    ASSERT_FALSE(missing.ok());
    EXPECT_THAT(missing.error().message, HasSubstr("/no/such/program: No such file"));
    const auto folder = ChildProcess::spawn(loop, {"/tmp"}, {});
    ASSERT_FALSE(folder.ok());
    EXPECT_THAT(folder.error().message, HasSubstr("Permission denied"));
}

TEST(ChildProcess, AKilledGroupTakesItsGrandchildrenAlong) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        auto child = ChildProcess::spawn(
            loop, {"/bin/sh", "-c", "sleep 1000 & echo ready; wait"}, {"PATH=/bin"});
        EXPECT_TRUE(child.ok());
        std::string buffer(100, '\0');
        co_await child->read_output(buffer.data(), buffer.size());
        EXPECT_EQ(group_members(child->pid()).size(), 2U);
        child->signal_group(SIGTERM);
        EXPECT_EQ((co_await child->wait()).describe(), "was killed by signal 15 (Terminated)");
        EXPECT_TRUE(group_members(child->pid()).empty());
        child->signal_group(SIGKILL);  // nothing: the number may be somebody else's by now
    });
}

TEST(ChildProcess, TheEndOfTheLeaderEndsTheRestOfTheGroup) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        auto child =
            ChildProcess::spawn(loop, {"/bin/sh", "-c", "sleep 1000 & exit 0"}, {"PATH=/bin"});
        EXPECT_TRUE(child.ok());
        EXPECT_EQ((co_await child->wait()).code, 0);
        EXPECT_TRUE(group_members(child->pid()).empty());
    });
}

TEST(ChildProcess, DestructionKills) {
    pid_t pid = 0;
    {
        Loop loop(1);
        auto child = ChildProcess::spawn(loop, {"/bin/sleep", "1000"}, {});
        ASSERT_TRUE(child.ok());
        pid = child->pid();
        EXPECT_EQ(group_members(pid).size(), 1U);
    }
    EXPECT_TRUE(group_members(pid).empty());
}

TEST(ChildProcess, CloseOutputEndsAReadThatWaits) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        auto child = ChildProcess::spawn(loop, {"/bin/sleep", "1000"}, {});
        EXPECT_TRUE(child.ok());
        TaskScope scope(loop);
        scope.spawn("read", [&]() -> Task<> {
            std::string buffer(100, '\0');
            EXPECT_EQ(co_await child->read_output(buffer.data(), buffer.size()), 0U);
        });
        child->close_output();
        co_await scope.join();
    });
}

}  // namespace
}  // namespace drover::platform

#include "platform/leftovers.hpp"

#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "platform/process.hpp"
#include "support/on_loop.hpp"
#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

namespace fs = std::filesystem;

TEST(RuntimeDirectory, BelongsToOneAtATime) {
    const testing::TempDir dir;
    {
        auto first = RuntimeDirectory::claim(dir / "run");
        ASSERT_TRUE(first.ok()) << first.error().message;
        RuntimeDirectory moved = *std::move(first);
        EXPECT_EQ(moved.path(), dir / "run");
        EXPECT_EQ(fs::status(dir / "run").permissions(), fs::perms::owner_all);
        EXPECT_EQ(RuntimeDirectory::claim(dir / "run").error().code, ErrorCode::unavailable);
    }
    EXPECT_TRUE(RuntimeDirectory::claim(dir / "run").ok());
}

TEST(RuntimeDirectory, IsSweptOfSockets) {
    const testing::TempDir dir;
    fs::create_directory(dir / "run");
    std::ofstream(dir / "run/engine-1.sock") << "";
    std::ofstream(dir / "run/other") << "";
    ASSERT_TRUE(RuntimeDirectory::claim(dir / "run").ok());
    EXPECT_FALSE(fs::exists(dir / "run/engine-1.sock"));
    EXPECT_TRUE(fs::exists(dir / "run/other"));
}

TEST(KillLeftovers, TakesOnlyThoseOfItsFolder) {
    const testing::TempDir dir;
    testing::on_loop([&](Loop& loop) -> Task<> {
        auto ours = ChildProcess::spawn(
            loop, {"/bin/sleep", "1000"}, {"A=1", leftover_mark(dir / "run/x.sock")});
        auto neighbours =
            ChildProcess::spawn(loop, {"/bin/sleep", "1000"}, {leftover_mark(dir / "run2/x.sock")});
        EXPECT_TRUE(ours.ok() && neighbours.ok());
        EXPECT_EQ(kill_leftovers(dir / "run"), 1U);
        EXPECT_EQ((co_await ours->wait()).signal, SIGKILL);
        EXPECT_EQ(::kill(neighbours->pid(), 0), 0);
    });
}

}  // namespace
}  // namespace drover::platform

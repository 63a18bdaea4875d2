#include "platform/append_log.hpp"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>

#include "platform/files.hpp"
#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

namespace fs = std::filesystem;

TEST(AppendLog, IsPrivateAndGoesOnWithWhatIsThere) {
    const drover::testing::TempDir dir;
    const fs::path file = dir.path() / "deep" / "log";
    for (const char* line : {"one", "two"}) {
        auto log = AppendLog::open(file, 1_KiB);
        ASSERT_TRUE(log.ok()) << log.error().message;
        EXPECT_TRUE(log->append(line).ok());
    }
    EXPECT_EQ(*read_file(file, 1_KiB), "one\ntwo\n");
    EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST(AppendLog, NeverGrowsBeyondItsLimit) {
    const drover::testing::TempDir dir;
    const fs::path file = dir.path() / "log";
    auto log = AppendLog::open(file, Bytes(100));
    ASSERT_TRUE(log.ok());
    for (int i = 0; i < 50; ++i) {
        ASSERT_TRUE(log->append("line " + std::to_string(i)).ok());
        const auto older =
            fs::exists(file.string() + ".1") ? fs::file_size(file.string() + ".1") : 0;
        ASSERT_LE(fs::file_size(file) + older, 100U);
    }
    EXPECT_TRUE(read_file(file, 1_KiB)->ends_with("line 49\n"));
    EXPECT_FALSE(log->append(std::string(60, 'x')).ok());
    EXPECT_TRUE(log->append("still there").ok());
}

TEST(AppendLog, FollowsNoLink) {
    const drover::testing::TempDir dir;
    fs::create_symlink("/dev/null", dir.path() / "log");
    EXPECT_FALSE(AppendLog::open(dir.path() / "log", 1_KiB).ok());
    EXPECT_FALSE(AppendLog::open("/proc/no/such", 1_KiB).ok());
}

}  // namespace
}  // namespace drover::platform

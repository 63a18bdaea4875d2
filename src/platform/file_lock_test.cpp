#include "platform/file_lock.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

TEST(FileLock, IsHeldByOneOrSharedByMany) {
    const testing::TempDir directory;
    const auto file = directory / "lock";
    {
        const auto alone = FileLock::try_exclusive(file);
        ASSERT_TRUE(alone.ok());
        EXPECT_EQ(FileLock::try_exclusive(file).error().code, ErrorCode::unavailable);
    }
    const auto one = FileLock::shared(file);
    const auto two = FileLock::shared(file);
    EXPECT_TRUE(one.ok() && two.ok());
    EXPECT_EQ(FileLock::try_exclusive(file).error().code, ErrorCode::unavailable);
    EXPECT_EQ(FileLock::shared(directory / "no/where").error().code, ErrorCode::io_error);
}

TEST(FileLock, OfARenamedFileDoesNotLockTheNewOne) {
    const testing::TempDir directory;
    const auto held = FileLock::try_exclusive(directory / "a");
    ASSERT_TRUE(held.ok());
    std::filesystem::rename(directory / "a", directory / "b");
    EXPECT_TRUE(FileLock::try_exclusive(directory / "a").ok());
    EXPECT_FALSE(FileLock::try_exclusive(directory / "b").ok());
}

}  // namespace
}  // namespace drover::platform

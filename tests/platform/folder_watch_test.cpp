#include "platform/folder_watch.hpp"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "platform/clock.hpp"
#include "support/on_loop.hpp"
#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using testing::on_loop;

constexpr milliseconds kLong{20'000};

/// True when the watch notices what `change` does, long before it would look by itself.
bool notices(const std::vector<fs::path>& folders, const std::function<void()>& change) {
    bool noticed = false;
    on_loop([&](Loop& loop) -> Task<> {
        FolderWatch watch(loop);
        watch.watch(folders);
        change();
        const TimePoint begun = now();
        co_await watch.changed(kLong);
        noticed = now() - begun < kLong / 2;
    });
    return noticed;
}

TEST(FolderWatch, NoticesFilesInFoldersBelow) {
    const testing::TempDir directory;
    fs::create_directories(directory / "a/b");
    EXPECT_TRUE(notices({directory.path()}, [&] { std::ofstream(directory / "a/b/new") << "x"; }));
    EXPECT_TRUE(notices({directory.path()}, [&] { fs::remove(directory / "a/b/new"); }));
}

TEST(FolderWatch, NoticesAFolderThatIsMadeLater) {
    const testing::TempDir directory;
    EXPECT_TRUE(
        notices({directory / "not/yet"}, [&] { fs::create_directories(directory / "not/yet"); }));
}

TEST(FolderWatch, LeavesTheNeighboursOfAMissingFolderAlone) {
    const testing::TempDir directory;
    on_loop([&](Loop& loop) -> Task<> {
        FolderWatch watch(loop);
        watch.watch({directory / "missing"});
        std::ofstream(directory / "other") << "x";
        const TimePoint begun = now();
        co_await watch.changed(milliseconds(300));
        EXPECT_GE(now() - begun, milliseconds(300));
    });
}

}  // namespace
}  // namespace drover::platform

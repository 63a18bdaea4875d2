#include "platform/files.hpp"

#include <algorithm>
#include <fstream>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

namespace fs = std::filesystem;

using testing::TempDir;

TEST(ReadFile, IsBounded) {
    const TempDir dir;
    std::ofstream(dir / "a") << std::string(100'000, 'x');
    EXPECT_EQ(read_file(dir / "a", Bytes(100'000))->size(), 100'000U);
    EXPECT_EQ(read_file(dir / "a", Bytes(99'999)).error().code, ErrorCode::too_large);
    EXPECT_EQ(read_file(dir / "b", 1_MiB).error().code, ErrorCode::not_found);
    EXPECT_EQ(read_file(dir.path(), 1_MiB).error().code, ErrorCode::io_error);
}

TEST(ReadFile, DoesNotWaitForAPipe) {
    const TempDir dir;
    ASSERT_EQ(::mkfifo((dir / "pipe").c_str(), 0600), 0);
    EXPECT_EQ(read_file(dir / "pipe", 1_MiB).error().code, ErrorCode::io_error);
    EXPECT_EQ(MappedFile::open(dir / "pipe").error().code, ErrorCode::io_error);
}

// One hint for a large piece was cut to 8 MiB by the kernel, so that models were hardly read ahead.
TEST(ReadAhead, BringsAFileIntoThePageCacheHoweverLargeThePieces) {
    const TempDir dir;
    const Bytes size = 33_MiB;
    const auto length = static_cast<std::size_t>(size.count());
    std::ofstream(dir / "a") << std::string(static_cast<std::size_t>(size.count()), 'x');
    const int file = ::open((dir / "a").c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::fsync(file), 0);
    ASSERT_EQ(::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    void* const mapped = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, file, 0);
    ASSERT_NE(mapped, MAP_FAILED);
    std::vector<unsigned char> pages(length / 4096);
    const auto cached = [&] {
        EXPECT_EQ(::mincore(mapped, length, pages.data()), 0);
        return std::count_if(pages.begin(), pages.end(), [](auto page) { return (page & 1) != 0; });
    };
    if (cached() != 0) {
        GTEST_SKIP() << "this file system keeps what it was asked to drop";
    }
    EXPECT_EQ(read_ahead(dir / "a", Bytes(0), 32_MiB), 32_MiB);
    EXPECT_EQ(read_ahead(dir / "a", 32_MiB, 32_MiB), size);
    while (cached() < static_cast<std::ptrdiff_t>(pages.size())) {
        std::this_thread::yield();  // the disk is asked; the test's time limit bounds it
    }
    ::munmap(mapped, length);
    ::close(file);
}

TEST(ReadAhead, OfWhatIsNotThereDoesNothing) {
    const TempDir dir;
    EXPECT_EQ(read_ahead(dir / "a", Bytes(0), 1_MiB), Bytes(0));
    EXPECT_EQ(read_ahead(dir.path(), Bytes(0), 1_MiB), Bytes(0));
}

TEST(WriteFileAtomically, ReplacesAndLeavesNothingElse) {
    const TempDir dir;
    ASSERT_TRUE(write_file_atomically(dir / "a", "old").ok());
    ASSERT_TRUE(write_file_atomically(dir / "a", "new").ok());
    EXPECT_EQ(*read_file(dir / "a", 1_MiB), "new");
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(WriteFileAtomically, FailsWithoutADirectoryOrOverOne) {
    const TempDir dir;
    EXPECT_EQ(write_file_atomically(dir / "no/a", "x").error().code, ErrorCode::not_found);
    fs::create_directory(dir / "folder");
    EXPECT_FALSE(write_file_atomically(dir / "folder", "x").ok());
    EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(MakePrivateDirectory, MakesAndProtects) {
    const TempDir dir;
    ASSERT_TRUE(make_private_directory(dir / "a/b").ok());
    fs::permissions(dir / "a/b", fs::perms::all);
    ASSERT_TRUE(make_private_directory(dir / "a/b").ok());
    EXPECT_EQ(fs::status(dir / "a/b").permissions(), fs::perms::owner_all);
}

TEST(MakePrivateDirectory, RefusesLinksFilesAndOthersDirectories) {
    const TempDir dir;
    fs::create_directory(dir / "real");
    fs::create_symlink(dir / "real", dir / "link");
    EXPECT_FALSE(make_private_directory(dir / "link").ok());
    std::ofstream(dir / "file") << "x";
    EXPECT_FALSE(make_private_directory(dir / "file").ok());
    if (::geteuid() == 0) {
        ASSERT_EQ(::chown((dir / "real").c_str(), 12345, 12345), 0);
        const Status refused = make_private_directory(dir / "real");
        ASSERT_FALSE(refused.ok());
        EXPECT_NE(refused.error().message.find("DROVER_RUNTIME_DIR"), std::string::npos);
    }
}

TEST(FreeSpace, IsThatOfTheNearestDirectoryThatExists) {
    const TempDir dir;
    EXPECT_GT(*free_space(dir.path()), Bytes(0));
    EXPECT_GT(*free_space(dir / "not/yet/there"), Bytes(0));
}

TEST(MappedFile, ShowsTheContent) {
    const TempDir dir;
    std::ofstream(dir / "a") << "content";
    std::ofstream(dir / "empty").close();
    auto a = MappedFile::open(dir / "a");
    ASSERT_TRUE(a.ok());
    MappedFile moved = *std::move(a);
    EXPECT_EQ(moved.bytes(), "content");
    EXPECT_EQ(MappedFile::open(dir / "empty")->bytes(), "");
    EXPECT_EQ(MappedFile::open(dir / "b").error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace drover::platform

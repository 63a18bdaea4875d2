#include "store/incoming_blob.hpp"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.hpp"

namespace drover::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class IncomingBlobTest : public ::testing::Test {
  protected:
    std::size_t files() const {
        const fs::directory_iterator all(store_.root() / "blobs");
        return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
    }

    testing::TempDir directory_;
    Store store_{directory_ / "store"};
};

TEST_F(IncomingBlobTest, IsInTheStoreWhenItIsComplete) {
    const auto upload = IncomingBlob::begin(store_, digest_of("weights"), Bytes(7));
    ASSERT_TRUE(upload.ok());
    EXPECT_TRUE((*upload)->write("wei").ok());
    EXPECT_TRUE((*upload)->write("ghts").ok());
    EXPECT_FALSE(store_.has(digest_of("weights"), Bytes(7)));
    EXPECT_TRUE((*upload)->finish().ok());
    EXPECT_TRUE(store_.has(digest_of("weights"), Bytes(7)));
}

TEST_F(IncomingBlobTest, LeavesNothingBehindWhenItIsAnotherBlobOrHalfOfIt) {
    {
        const auto wrong = IncomingBlob::begin(store_, digest_of("weights"), std::nullopt);
        const auto half = IncomingBlob::begin(store_, digest_of("weights"), std::nullopt);
        ASSERT_TRUE(wrong.ok() && half.ok());
        EXPECT_TRUE((*half)->write("wei").ok());
        EXPECT_TRUE((*wrong)->write("weightz").ok());
        const Status finished = (*wrong)->finish();
        ASSERT_FALSE(finished.ok());
        EXPECT_EQ(finished.error().code, ErrorCode::invalid_argument);
        EXPECT_THAT(finished.error().message, HasSubstr("digest mismatch"));
        EXPECT_EQ(files(), 2U);
    }
    EXPECT_EQ(files(), 0U);
}

TEST_F(IncomingBlobTest, IsRefusedWhenTheDiskHasNoRoomForIt) {
    const auto upload = IncomingBlob::begin(store_, digest_of("x"), Bytes(std::int64_t{1} << 60));
    ASSERT_FALSE(upload.ok());
    EXPECT_EQ(upload.error().code, ErrorCode::io_error);
    EXPECT_THAT(upload.error().message, HasSubstr("are needed on the disk"));
    EXPECT_EQ(files(), 0U);
}

TEST_F(IncomingBlobTest, KeepsGarbageCollectionOutWhileItLasts) {
    const auto upload = IncomingBlob::begin(store_, digest_of("weights"), Bytes(7));
    ASSERT_TRUE(upload.ok());
    const auto collected = store_.collect_garbage();
    ASSERT_FALSE(collected.ok());
    EXPECT_EQ(collected.error().code, ErrorCode::unavailable);
}

}  // namespace
}  // namespace drover::store

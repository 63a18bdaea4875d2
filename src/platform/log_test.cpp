#include "platform/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/files.hpp"
#include "support/temp_dir.hpp"

namespace drover::platform {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(LogValue, IsQuotedAndEscapedWhereNeeded) {
    EXPECT_EQ(log::escaped("plain-1.0/x"), "plain-1.0/x");
    EXPECT_EQ(log::escaped("größe"), "größe");
    EXPECT_EQ(log::escaped(""), "\"\"");
    EXPECT_EQ(log::escaped("two words"), "\"two words\"");
    EXPECT_EQ(log::escaped("a=b"), "\"a=b\"");
    EXPECT_EQ(log::escaped("say \"x\"\\"), R"("say \"x\"\\")");
    EXPECT_EQ(log::escaped("a\nb\x1b[31m"), R"("a\nb\x1b[31m")");
    EXPECT_EQ(log::escaped(std::string_view("\0", 1)), R"("\x00")");
}

TEST(LogLevel, IsReadByName) {
    EXPECT_EQ(*log::parse_level("warn"), log::Level::warn);
    EXPECT_EQ(log::parse_level("loud").error().code, ErrorCode::invalid_argument);
}

TEST(Log, WritesOneLineForAnEvent) {
    const testing::TempDir dir;
    ASSERT_TRUE(log::configure(log::Level::info, dir / "log").ok());
    log::info("instance.ready",
              {{"model", "smol"}, {"ms", 12}, {"share", 0.5}, {"pinned", true}, {"why", "a b"}});
    log::debug("not.written");
    log::warn("plain {}");
    EXPECT_FALSE(log::enabled(log::Level::debug));
    const std::string text = *read_file(dir / "log", 1_MiB);
    ASSERT_TRUE(log::configure(log::Level::info, {}).ok());
    EXPECT_THAT(text,
                HasSubstr(" info instance.ready model=smol ms=12 share=0.500 pinned=true "
                          "why=\"a b\"\n"));
    EXPECT_THAT(text, HasSubstr("Z warning plain {}\n"));
    EXPECT_THAT(text, Not(HasSubstr("not.written")));
}

TEST(Log, AFileThatCannotBeOpenedIsAnError) {
    EXPECT_EQ(log::configure(log::Level::info, "/proc/no/such").error().code, ErrorCode::io_error);
}

}  // namespace
}  // namespace drover::platform

#include "platform/run_command.hpp"

#include <gtest/gtest.h>

namespace drover::platform {
namespace {

using std::chrono::milliseconds;

TEST(RunCommand, GivesOutputErrorsAndStatus) {
    const auto result =
        run_command({"/bin/sh", "-c", "echo out; echo err >&2; exit 3"}, milliseconds(5000));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_EQ(result->text, "out\nerr\n");
    EXPECT_EQ(result->status, 3);
}

TEST(RunCommand, SaysWhatCannotBeStarted) {
    const auto result = run_command({"/no/such/program"}, milliseconds(5000));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::io_error);
    EXPECT_NE(result.error().message.find("/no/such/program"), std::string::npos);
}

TEST(RunCommand, KillsWhatDoesNotEnd) {
    const auto result = run_command({"/bin/sleep", "60"}, milliseconds(50));
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::timeout);
}

TEST(RunCommand, TellsWhatIsPrintedAndCanBeStoppedByIt) {
    std::string heard;
    const CommandWatch watch{.on_text = [&](std::string_view text) { heard += text; },
                             .stopped =
                                 [&] {
                                     return heard == "go\n";
                                 }};
    const auto result =
        run_command({"/bin/sh", "-c", "echo go; exec /bin/sleep 60"}, milliseconds(30'000), watch);
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::cancelled);
    EXPECT_EQ(heard, "go\n");
}

TEST(RunCommand, BoundsTheOutput) {
    const auto result =
        run_command({"/usr/bin/head", "-c", "1000000", "/dev/zero"}, milliseconds(5000));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_LE(result->text.size(), 72U * 1024U);
}

}  // namespace
}  // namespace drover::platform

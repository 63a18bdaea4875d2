#include "config/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::config {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(SplitCommand, SeparatesAtBlanksAndLineEnds) {
    EXPECT_THAT(*split_command("  server\t--port 1\n  -x\r\n"),
                ElementsAre("server", "--port", "1", "-x"));
    EXPECT_THAT(*split_command(" \n "), IsEmpty());
}

TEST(SplitCommand, KeepsQuotedTextTogether) {
    EXPECT_THAT(*split_command(R"(a 'b c' "d \"e\\ \n" f'g h'i '')"),
                ElementsAre("a", "b c", "d \"e\\ \\n", "fg hi", ""));
}

TEST(SplitCommand, ContinuesALineThatEndsWithABackslash) {
    EXPECT_THAT(*split_command("a \\\n b\\\r\nc d\\ e"), ElementsAre("a", "bc", "d e"));
}

TEST(SplitCommand, ReportsAQuoteThatIsNotClosed) {
    EXPECT_EQ(split_command("a 'b").error().message, "a ' is not closed");
    EXPECT_EQ(split_command("\"").error().message, "a \" is not closed");
}

TEST(SplitCommand, TakesABackslashAtTheEndAsItself) {
    EXPECT_THAT(*split_command("a\\"), ElementsAre("a\\"));
}

}  // namespace
}  // namespace drover::config

#include "base/pattern.hpp"

#include <string>

#include <gtest/gtest.h>

namespace drover {
namespace {

TEST(Pattern, FindsAPartAndCoversTheWhole) {
    const auto pattern = Pattern::compile(R"((?i)\bselect\b.+\bfrom\b)");
    ASSERT_TRUE(pattern.ok());
    EXPECT_TRUE(pattern->found_in("please SELECT name FROM users"));
    EXPECT_FALSE(pattern->found_in("selected fromage"));
    EXPECT_FALSE(pattern->covers("please SELECT name FROM users"));
    EXPECT_TRUE(pattern->covers("select name from"));
}

TEST(Pattern, SaysWhatIsWrong) {
    const auto open = Pattern::compile("(a");
    ASSERT_FALSE(open.ok());
    EXPECT_EQ(open.error().code, ErrorCode::invalid_argument);
    EXPECT_NE(open.error().message.find("'(a' is not a regular expression (RE2)"),
              std::string::npos);
    EXPECT_FALSE(Pattern::compile(R"((a)\1)").ok());
    EXPECT_FALSE(Pattern::compile("((a{1000}){1000}){1000}").ok());
}

// What takes a backtracking engine longer than the universe is old.
TEST(Pattern, IsLinearOnExpressionsThatExplodeElsewhere) {
    const auto pattern = Pattern::compile("^(a+)+$");
    ASSERT_TRUE(pattern.ok());
    EXPECT_FALSE(pattern->found_in(std::string(16'000, 'a') + "b"));
}

TEST(Pattern, TakesTextThatIsNotUtf8) {
    const auto pattern = Pattern::compile("b.d");
    ASSERT_TRUE(pattern.ok());
    EXPECT_FALSE(pattern->found_in("a\xFF\xFE"));
    EXPECT_TRUE(
        pattern->found_in("a\xFF\xFE b\xC3\xA9"
                          "d"));
}

}  // namespace
}  // namespace drover

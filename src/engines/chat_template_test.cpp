#include "engines/chat_template.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::engines {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

models::ModelFacts facts_with(std::string own, bool tools = false) {
    models::ModelFacts facts;
    facts.chat_template = std::move(own);
    facts.tools = tools;
    return facts;
}

TEST(ChatTemplate, LeavesOneThatKnowsTools) {
    EXPECT_FALSE(replacement_template(facts_with("{{ tools }}", true)).has_value());
}

TEST(ChatTemplate, PutsToolsInFrontOfOneThatDoesNotKnowThem) {
    const std::string own = "\n{% for m in messages %}{{ m.role }} system{% endfor %}";
    const auto text = replacement_template(facts_with(own));
    ASSERT_TRUE(text.has_value());
    EXPECT_THAT(*text, StartsWith("{%- set drover_system = true -%}"));
    EXPECT_THAT(*text, HasSubstr("<tool_call>"));
    EXPECT_THAT(*text, EndsWith("{%- endif %}" + own));
}

TEST(ChatTemplate, ShowsToolsInTheFirstMessageWhereThereIsNoSystemRole) {
    const auto text = replacement_template(facts_with("{{ messages }}"));
    ASSERT_TRUE(text.has_value());
    EXPECT_THAT(*text, StartsWith("{%- set drover_system = false -%}"));
}

TEST(ChatTemplate, ATranscriptEndsBeforeTheUsersNextLine) {
    EXPECT_EQ(stop_word(facts_with("")), "\nUser:");
    EXPECT_EQ(stop_word(facts_with("{{ messages }}")), "");
}

TEST(ChatTemplate, GivesAPlainTranscriptToAFileWithoutOne) {
    const auto text = replacement_template(facts_with(""));
    ASSERT_TRUE(text.has_value());
    EXPECT_THAT(*text, HasSubstr("Assistant:"));
}

TEST(ChatTemplate, LeavesWhatCannotTravelAsAnArgument) {
    EXPECT_FALSE(replacement_template(facts_with(std::string(100'000, ' '))).has_value());
    EXPECT_FALSE(replacement_template(facts_with(std::string("a\0b", 3))).has_value());
}

}  // namespace
}  // namespace drover::engines

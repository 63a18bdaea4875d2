#include "router/rule.hpp"

#include <gtest/gtest.h>

namespace drover::router {
namespace {

Pattern pattern(std::string_view expression) {
    auto compiled = Pattern::compile(expression);
    EXPECT_TRUE(compiled.ok()) << expression;
    return *compiled;
}

RequestFacts saying(std::string_view text) {
    return {.text = std::string(text), .bytes = text.size(), .messages = 1};
}

TEST(Rule, HoldsWhenEveryConditionIsMet) {
    RequestFacts facts = saying("Bitte schreibe mir ein SELECT, das die Kunden und ihre Orte holt");
    facts.endpoint = "chat";
    const PolicyRule rule{.endpoints = {"completion", "chat"},
                          .shorter_than = 100,
                          .contains = "select",
                          .languages = {"fr", "de"}};
    EXPECT_TRUE(meets(facts, rule));
    facts.endpoint = "embedding";
    EXPECT_FALSE(meets(facts, rule));
    facts.endpoint = "chat";
    facts.bytes = 100;
    EXPECT_FALSE(meets(facts, rule));
}

TEST(Rule, KnowsEndpointsByKindAndByPath) {
    RequestFacts facts = saying("x");
    facts.endpoint = "chat";
    facts.path = "/v1/messages";
    EXPECT_TRUE(meets(facts, {.endpoints = {"chat"}}));
    EXPECT_TRUE(meets(facts, {.endpoints = {"/v1/messages"}}));
    EXPECT_FALSE(meets(facts, {.endpoints = {"/v1/chat/completions", "completion"}}));
}

TEST(Rule, MatchesAPartOfTheText) {
    const PolicyRule rule{.matches = pattern(R"((?i)\bselect\b.+\bfrom\b)")};
    EXPECT_TRUE(meets(saying("run SELECT a FROM b"), rule));
    EXPECT_FALSE(meets(saying("a selection"), rule));
}

TEST(Rule, MatchesAHeadersWholeValue) {
    const PolicyRule rule{.headers = {{"x-team", pattern("research|lab-[0-9]+")}}};
    RequestFacts facts = saying("x");
    EXPECT_FALSE(meets(facts, rule));
    facts.headers = {{"x-team", "sales"}, {"x-other", "research"}};
    EXPECT_FALSE(meets(facts, rule));
    facts.headers.emplace_back("x-team", "lab-12");
    EXPECT_TRUE(meets(facts, rule));
    facts.headers = {{"x-team", "research and more"}};
    EXPECT_FALSE(meets(facts, rule));
}

TEST(Rule, OfALanguageDoesNotHoldForTextOfNone) {
    EXPECT_FALSE(meets(saying("x = 1"), {.languages = {"en", "de"}}));
    EXPECT_TRUE(meets(saying("what is the sum of these?"), {.languages = {"en"}}));
}

}  // namespace
}  // namespace drover::router

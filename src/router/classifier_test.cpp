#include "router/classifier.hpp"

#include <cmath>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <gtest/gtest.h>

namespace drover::router {
namespace {

namespace json = boost::json;

using Odds = std::vector<std::pair<std::string, double>>;

Classifier of_tasks() {
    return {.model = "tiny", .labels = {"chat", "code", "math"}};
}

Classifier of_complexity() {
    return {.model = "tiny", .purpose = Purpose::complexity, .labels = {"easy", "hard"}};
}

json::object odds_of(const std::string& token, double probability) {
    return {{"token", token}, {"logprob", std::log(probability)}};
}

/// An answer whose tokens are the first of each list, with their alternatives behind them.
std::string answer(const std::vector<Odds>& tokens) {
    std::string content;
    json::array told;
    for (const Odds& odds : tokens) {
        content += odds.front().first;
        json::object token = odds_of(odds.front().first, odds.front().second);
        json::array top;
        for (const auto& [text, probability] : odds) {
            top.emplace_back(odds_of(text, probability));
        }
        token["top_logprobs"] = std::move(top);
        told.emplace_back(std::move(token));
    }
    const json::object choice{{"message", json::object{{"content", content}}},
                              {"logprobs", json::object{{"content", told}}}};
    return json::serialize(json::object{{"choices", json::array{choice}}});
}

std::string saying(const std::string& content) {
    const json::object choice{{"message", json::object{{"content", content}}}};
    return json::serialize(json::object{{"choices", json::array{choice}}});
}

TEST(ClassifierBody, BoundsTheAnswerToTheLabels) {
    const json::value body =
        json::parse(classifier_body(of_tasks(), "Add 1 and 2.", SchemaShape::word));
    EXPECT_EQ(body.at("temperature").as_int64(), 0);
    EXPECT_LT(body.at("max_tokens").to_number<int>(), 40);
    const json::value& schema = body.at("response_format").at("json_schema").at("schema");
    EXPECT_EQ(json::serialize(schema), R"({"type":"string","enum":["chat","code","math"]})");
    const std::string prompt(body.at("messages").at(0).at("content").as_string());
    EXPECT_NE(prompt.find("chat, code, math"), std::string::npos);
    EXPECT_NE(prompt.find("Add 1 and 2."), std::string::npos);
    const json::value elsewhere =
        json::parse(classifier_body(of_complexity(), "Add.", SchemaShape::object));
    EXPECT_EQ(json::serialize(elsewhere.at("response_format")
                                  .at("json_schema")
                                  .at("schema")
                                  .at("properties")
                                  .at("label")
                                  .at("enum")),
              R"(["easy","hard"])");
    EXPECT_EQ(elsewhere.as_object().if_contains("chat_template_kwargs"), nullptr);
}

TEST(ClassifierBody, ShowsTheBeginningAndTheEnd) {
    EXPECT_EQ(excerpt("short", 10), "short");
    EXPECT_EQ(excerpt("0123456789abcdef", 6), "012\n[...]\ndef");
    EXPECT_EQ(excerpt("\u00e9\u00e9\u00e9\u00e9\u00e9", 6), "\u00e9\n[...]\n\u00e9");
}

TEST(Classification, IsTheLabelHoweverItIsWritten) {
    for (const char* content : {"code", " Code\n", "\"code\"", R"({"label": "code"})"}) {
        const auto read = read_classification(of_tasks(), saying(content));
        ASSERT_TRUE(read.ok()) << content;
        EXPECT_EQ(read->label, 1U);
        EXPECT_EQ(read->confidence, 1);
    }
}

TEST(Classification, IsNothingElse) {
    for (const std::string& wrong : {saying("codecode"),
                                     saying(""),
                                     saying(R"({"label": 3})"),
                                     saying(R"(["code"])"),
                                     std::string("no JSON"),
                                     std::string(R"({"choices": []})"),
                                     std::string(R"({"choices": [1]})"),
                                     std::string(R"({"error": {"message": "busy"}})")}) {
        const auto read = read_classification(of_tasks(), wrong);
        ASSERT_FALSE(read.ok()) << wrong;
        EXPECT_EQ(read.error().code, ErrorCode::engine_failed);
    }
    const auto told = read_classification(of_tasks(), saying(std::string(1000, 'x')));
    EXPECT_LT(told.error().message.size(), 150U);
}

TEST(Classification, WeighsTheLabelsOnly) {
    // Half of the probability leads to no label, so that it says nothing.
    const auto read = read_classification(
        of_tasks(), answer({{{"code", 0.3}, {"Sure", 0.5}, {"math", 0.1}, {"chat", 0.1}}}));
    ASSERT_TRUE(read.ok());
    EXPECT_NEAR(read->confidence, 0.6, 1e-6);
    EXPECT_NEAR(read->probabilities[0], 0.2, 1e-6);
    EXPECT_NEAR(read->probabilities[2], 0.2, 1e-6);
}

TEST(Classification, FollowsTheTokensThatSpellALabel) {
    // "c" may become both "code" and "chat"; the quotes belong to tokens of the label.
    const auto read = read_classification(
        of_tasks(),
        answer({{{"\"c", 0.8}, {"\"math", 0.2}}, {{"ode", 0.75}, {"hat", 0.25}}, {{"\"", 1.0}}}));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->label, 1U);
    EXPECT_NEAR(read->confidence, 0.6, 1e-6);
    EXPECT_NEAR(read->probabilities[0], 0.2, 1e-6);
    EXPECT_NEAR(read->probabilities[2], 0.2, 1e-6);
}

TEST(Classification, ReadsTheLabelOfAnObject) {
    const auto read = read_classification(of_complexity(),
                                          answer({{{"{\"", 1.0}},
                                                  {{"label", 0.4}, {"hard", 0.6}},
                                                  {{"\":", 1.0}},
                                                  {{" \"", 1.0}},
                                                  {{"easy", 0.9}, {"hard", 0.1}},
                                                  {{"\"}", 1.0}}}));
    ASSERT_TRUE(read.ok());
    EXPECT_EQ(read->label, 0U);
    EXPECT_NEAR(read->confidence, 0.9, 1e-6);
    EXPECT_NEAR(read->score, 0.1, 1e-6);
}

TEST(Classification, SurvivesProbabilitiesThatAreNone) {
    for (const char* tokens : {R"(1)",
                               R"([1, null, "code"])",
                               R"([{"token": "code", "logprob": "high"}])",
                               R"([{"token": "code", "logprob": -1e400, "top_logprobs": 4}])",
                               R"([{"token": "code", "logprob": 700, "top_logprobs": [7, {}]}])"}) {
        const auto read = read_classification(
            of_tasks(),
            R"({"choices": [{"message": {"content": "code"}, "logprobs": {"content": )" +
                std::string(tokens) + "}}]}");
        ASSERT_TRUE(read.ok()) << tokens;
        EXPECT_EQ(read->confidence, 1) << tokens;
    }
}

TEST(Classifier, SaysWhatLabelsMeanWhereSomebodySaidIt) {
    Classifier tasks = of_tasks();
    tasks.meanings = {"", "writing and mending programs"};
    EXPECT_NE(classifier_body(tasks, "x", SchemaShape::word)
                  .find("chat, code (writing and mending programs), math?"),
              std::string::npos);
    Classifier hard = of_complexity();
    hard.meanings = {"", "it needs several steps"};
    EXPECT_NE(classifier_body(hard, "x", SchemaShape::word)
                  .find("easy (a small language model answers it right) or hard (it needs several "
                        "steps)?"),
              std::string::npos);
}

}  // namespace
}  // namespace drover::router

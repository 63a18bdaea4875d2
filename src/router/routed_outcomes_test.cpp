#include "router/routed_outcomes.hpp"

#include <string>

#include <gtest/gtest.h>

#include "router/dataset.hpp"

namespace drover::router {
namespace {

std::string request(const std::string& id, const std::string& model, const std::string& prompt) {
    return R"({"type":"request","id":")" + id + R"(","model":")" + model + R"(","prompt":")" +
           prompt +
           R"(","checks":[{"model":"small","good":false,"score":0.1},{"good":true,"score":0.8}]})" +
           "\n";
}

std::string feedback(const std::string& id, const std::string& what) {
    return R"({"type":"feedback","id":")" + id + "\"," + what + "}\n";
}

TEST(RoutedOutcomes, KnowsALogByItsFirstLine) {
    EXPECT_TRUE(is_routing_log(request("a", "m", "p")));
    EXPECT_FALSE(is_routing_log("{\"prompt\": \"p\", \"label\": \"x\"}\n"));
    EXPECT_FALSE(is_routing_log(""));
}

TEST(RoutedOutcomes, JoinsAnswersOfTwoModelsToOnePrompt) {
    const std::string log = request("a", "small", "p") + request("b", "large", "p") +
                            request("c", "small", "q") + feedback("a", "\"correct\":true") +
                            feedback("a", "\"correct\":false") + feedback("b", "\"correct\":0.9") +
                            feedback("c", "\"correct\":true") + feedback("x", "\"correct\":true") +
                            "{\"type\":\"req";
    const auto made = labelled_prompts(log);
    ASSERT_TRUE(made.ok()) << made.error().message;
    EXPECT_EQ(made->used, 1U);
    EXPECT_EQ(made->left_out, 1U);
    const auto data = parse_dataset(made->jsonl, {.weak = "small", .strong = "large"});
    ASSERT_TRUE(data.ok()) << data.error().message;
    ASSERT_EQ(data->examples.size(), 1U);
    EXPECT_EQ(data->purpose, Purpose::complexity);
    EXPECT_FALSE(data->examples[0].weak);  // the last word on it
    EXPECT_TRUE(data->examples[0].strong);
}

TEST(RoutedOutcomes, TakesLabelsWhereThereAreSome) {
    const std::string log = request("a", "m", "write code") + request("b", "m", "tell a tale") +
                            feedback("a", "\"label\":\"code\"") +
                            feedback("b", "\"label\":\"chat\"");
    const auto made = labelled_prompts(log);
    ASSERT_TRUE(made.ok());
    const auto data = parse_dataset(made->jsonl);
    ASSERT_TRUE(data.ok());
    EXPECT_EQ(data->labels, (std::vector<std::string>{"chat", "code"}));
}

TEST(RoutedOutcomes, TakesOutcomesInSpiteOfLabelsWhereModelsAreNamed) {
    const std::string log = request("a", "small", "p") + request("b", "large", "p") +
                            feedback("a", R"("correct":false,"label":"code")") +
                            feedback("b", R"("correct":true,"label":"code")");
    const DatasetFields fields{.weak = "small", .strong = "large"};
    const auto made = labelled_prompts(log, fields);
    ASSERT_TRUE(made.ok()) << made.error().message;
    const auto data = parse_dataset(made->jsonl, fields);
    ASSERT_TRUE(data.ok()) << data.error().message;
    EXPECT_EQ(data->purpose, Purpose::complexity);
}

TEST(RoutedOutcomes, ScoresAreThoseOfTheAnswersThatWerePassedOn) {
    const auto answers = scored_answers(request("a", "m", "p") + request("b", "m", "q") +
                                        feedback("a", "\"correct\":true"));
    ASSERT_TRUE(answers.ok());
    ASSERT_EQ(answers->size(), 1U);
    EXPECT_FLOAT_EQ((*answers)[0].score, 0.8F);
    EXPECT_TRUE((*answers)[0].positive);
}

TEST(RoutedOutcomes, SaysWhatIsMissing) {
    EXPECT_NE(labelled_prompts(request("a", "m", "p")).error().message.find("/v1/feedback"),
              std::string::npos);
    EXPECT_NE(labelled_prompts(request("a", "m", "") + feedback("a", "\"label\":\"x\""))
                  .error()
                  .message.find("routing.log: prompts"),
              std::string::npos);
    EXPECT_FALSE(scored_answers(request("a", "m", "p")).ok());
}

}  // namespace
}  // namespace drover::router

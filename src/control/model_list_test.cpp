#include "control/model_list.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::control {
namespace {

using testing::ElementsAre;

TEST(ModelList, HasTheNamesOfAnOpenAiAnswerOnce) {
    const auto names = parse_model_list(
        R"({"object":"list","data":[{"id":"a"},{"id":"org/b"},{"id":"a"},{"no":1},{"id":7}]})");
    ASSERT_TRUE(names.ok());
    EXPECT_THAT(*names, ElementsAre("a", "org/b"));
}

TEST(ModelList, LeavesOutNamesThatAreNone) {
    const auto names =
        parse_model_list("{\"data\":[{\"id\":\"\"},{\"id\":\"a\\r\\nb\"},{\"id\":\"c\"}]}");
    ASSERT_TRUE(names.ok());
    EXPECT_THAT(*names, ElementsAre("c"));
}

TEST(ModelList, AnythingElseIsAnError) {
    for (const char* body : {"", "[]", "{}", R"({"data":1})", "<html>"}) {
        EXPECT_FALSE(parse_model_list(body).ok()) << body;
    }
}

TEST(ModelList, OwnNamesThatComeBackAreLeftOut) {
    EXPECT_THAT(without_echoes({"one/x", "x", "y/One/x", "one/z", "none/x", "one/two/x"}, "one/"),
                ElementsAre("x", "one/z", "none/x", "one/two/x"));
}

TEST(ModelList, ANamespaceThatIsCalledLikeUsIsNone) {
    const std::vector<std::string> names{"Qwen/Qwen3-4B", "hub/qwen/Qwen3-8B", "gpt-oss"};
    EXPECT_EQ(without_echoes(names, "qwen/"), names);
}

TEST(ModelList, ANameTellsTheTask) {
    EXPECT_EQ(task_of_name("text-Embedding-3-small"), "embedding");
    EXPECT_EQ(task_of_name("BAAI/bge-reranker-v2"), "rerank");
    EXPECT_EQ(task_of_name("gpt-4o-mini"), "generate");
}

}  // namespace
}  // namespace drover::control

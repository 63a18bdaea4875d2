#include "gateway/dialect/engine_answer.hpp"

#include <boost/json/parse.hpp>

#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;

TEST(EngineAnswer, FindsThoughtsByBothNames) {
    const json::value ours = json::parse(R"({"content":"a","reasoning_content":"Hm."})");
    const json::value vllms = json::parse(R"({"content":"a","reasoning":"Hm."})");
    const json::value none = json::parse(R"({"content":"a","reasoning":null})");
    EXPECT_EQ(thought_of(&ours), "Hm.");
    EXPECT_EQ(thought_of(&vllms), "Hm.");
    EXPECT_EQ(thought_of(&none), "");
    EXPECT_EQ(thought_of(nullptr), "");
}

TEST(EngineAnswer, TellsLogProbabilitiesAlikeWhateverTheirShape) {
    const json::value expected = json::parse(
        R"([{"token":"a","logprob":-0.5,"top_logprobs":[{"token":"b","logprob":-1.5}]}])");
    for (const char* choice :
         {R"({"logprobs":{"content":[{"token":"a","logprob":-0.5,
              "top_logprobs":[{"token":"b","logprob":-1.5}]}]}})",
          R"({"completion_probabilities":[{"token":"a","logprob":-0.5,
              "top_logprobs":[{"token":"b","logprob":-1.5}]}]})",
          R"({"logprobs":{"tokens":["a"],"token_logprobs":[-0.5],"top_logprobs":[{"b":-1.5}],
              "text_offset":[0]}})"}) {
        EXPECT_EQ(json::value(token_logprobs(json::parse(choice))), expected) << choice;
    }
}

TEST(EngineAnswer, HasNoLogProbabilitiesWhereNoneAreTold) {
    for (const char* choice : {R"({})",
                               R"({"logprobs":null})",
                               R"({"logprobs":{"content":7}})",
                               R"({"logprobs":{"tokens":["a"],"token_logprobs":[null]}})",
                               R"({"logprobs":{"tokens":["a"]}})"}) {
        EXPECT_TRUE(token_logprobs(json::parse(choice)).empty()) << choice;
    }
}

}  // namespace
}  // namespace drover::gateway::dialect

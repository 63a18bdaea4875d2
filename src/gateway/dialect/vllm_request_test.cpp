#include "gateway/dialect/vllm_request.hpp"

#include <string_view>

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

#include "gateway/dialect/ollama_request.hpp"

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;

json::object parsed(std::string_view text) {
    return json::parse(text).as_object();
}

json::object translated(std::string_view body) {
    return vllm_body(parsed(body), 4096);
}

TEST(VllmRequest, LimitsByTheNameThatVllmKnows) {
    EXPECT_EQ(translated(R"({"n_predict":7})"), parsed(R"({"max_tokens":7})"));
    EXPECT_EQ(translated(R"({"n_predict":0})"), parsed(R"({"max_tokens":1})"));
}

TEST(VllmRequest, WithoutALimitGoesOnToTheEndOfTheContext) {
    EXPECT_EQ(translated(R"({"n_predict":-1,"messages":[]})"), parsed(R"({"messages":[]})"));
    EXPECT_EQ(translated(R"({"n_predict":-1,"prompt":"x"})"),
              parsed(R"({"prompt":"x","max_tokens":4096})"));
}

TEST(VllmRequest, RenamesAndLeavesOutWhatIsLlamaServers) {
    EXPECT_EQ(translated(R"({"repeat_penalty":1.1,"seed":-1,"mirostat":0,"typical_p":1.0,
                             "cache_prompt":true,"top_k":40,"min_p":0.1})"),
              parsed(R"({"repetition_penalty":1.1,"top_k":40,"min_p":0.1})"));
    EXPECT_EQ(translated(R"({"seed":3})"), parsed(R"({"seed":3})"));
}

TEST(VllmRequest, AsksForJsonInOpenAisWay) {
    EXPECT_EQ(translated(R"({"json_schema":{}})"),
              parsed(R"({"response_format":{"type":"json_object"}})"));
    EXPECT_EQ(translated(R"({"json_schema":{"type":"object"}})"),
              parsed(R"({"response_format":{"type":"json_schema","json_schema":{"name":"schema",
                         "schema":{"type":"object"}}}})"));
}

TEST(VllmRequest, KnowsEveryMemberOfAnOllamaRequestThatIsNotOpenAis) {
    const auto chat = ollama_chat(parsed(R"({"messages":[{"role":"user","content":"x"}],
        "options":{"num_predict":4,"repeat_penalty":1.2},"format":"json","logprobs":true})"));
    ASSERT_TRUE(chat.ok());
    EXPECT_EQ(vllm_body(chat->body, 4096),
              parsed(R"({"messages":[{"role":"user","content":"x"}],"stream":true,
                         "stream_options":{"include_usage":true},"max_tokens":4,"top_k":40,
                         "temperature":0.8,"top_p":0.9,"min_p":0.0,"repetition_penalty":1.2,
                         "presence_penalty":0.0,"frequency_penalty":0.0,"logprobs":true,
                         "top_logprobs":1,"response_format":{"type":"json_object"}})"));
}

TEST(VllmRequest, CutsTextsForEmbeddingsWhereTheClientAllowsIt) {
    EXPECT_EQ(vllm_embedding_body(parsed(R"({"input":["x"]})"), true),
              parsed(R"({"input":["x"],"truncate_prompt_tokens":-1})"));
    EXPECT_EQ(vllm_embedding_body(parsed(R"({"input":["x"]})"), false),
              parsed(R"({"input":["x"]})"));
}

}  // namespace
}  // namespace drover::gateway::dialect

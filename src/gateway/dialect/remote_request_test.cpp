#include "gateway/dialect/remote_request.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <gtest/gtest.h>

namespace drover::gateway::dialect {
namespace {

namespace json = boost::json;

TEST(RemotePath, IsOpenAisWhateverTheClientWrote) {
    EXPECT_EQ(openai_path("/v1/chat/completions"), "/v1/chat/completions");
    EXPECT_EQ(openai_path("/chat/completions"), "/v1/chat/completions");
    EXPECT_EQ(openai_path("/embeddings"), "/v1/embeddings");
    EXPECT_EQ(openai_path("/reranking"), "/v1/rerank");
}

TEST(RemotePath, IsEmptyForWhatOnlyOurEngineOffers) {
    for (const char* path : {"/tokenize",
                             "/v1/messages",
                             "/v1/responses",
                             "/infill",
                             "/completion",
                             "/slots",
                             "/",
                             "/v1/chat/completions/input_tokens"}) {
        EXPECT_EQ(openai_path(path), "") << path;
    }
}

TEST(RemotePath, MayBeOneThatFewServersHave) {
    for (const char* path : {"/tokenize", "/infill", "/v1/messages/count_tokens", "/v1/score"}) {
        EXPECT_TRUE(is_beside_openai(path)) << path;
    }
    for (const char* path : {"/v1/chat/completions", "/v1/messages", "/slots", "/"}) {
        EXPECT_FALSE(is_beside_openai(path)) << path;
    }
}

TEST(RemoteBody, ChangesNothingButTheName) {
    EXPECT_EQ(remote_body(R"({"x": 1.50, "model" : "small", "y":[ ]})", "org/Small", false),
              R"({"x": 1.50, "model" : "org/Small", "y":[ ]})");
}

TEST(RemoteBody, NamesTheModelWhereNobodyDid) {
    EXPECT_EQ(remote_body(R"({"prompt":"a"})", "m", false), R"({"prompt":"a","model":"m"})");
}

TEST(RemoteBody, LeavesOutWhatOnlyDroverUnderstands) {
    EXPECT_EQ(remote_body(R"({"model":"a","keep_alive":"5m","top_k":3})", "m", false),
              R"({"model":"m","top_k":3})");
}

TEST(RemoteBody, OfATranslatedRequestHasOpenAisMembersOnly) {
    const std::string body = remote_body(
        R"({"messages":[],"n_predict":7,"seed":-1,"top_k":40,"mirostat":0,"temperature":0.8,)"
        R"("chat_template_kwargs":{},"stream":true})",
        "m",
        true);
    EXPECT_EQ(json::parse(body),
              json::parse(R"({"messages":[],"max_tokens":7,"temperature":0.8,"stream":true,)"
                          R"("model":"m"})"));
}

TEST(RemoteBody, WithoutALimitHasNone) {
    EXPECT_EQ(remote_body(R"({"prompt":"a","n_predict":-1})", "m", true),
              R"({"prompt":"a","model":"m"})");
}

TEST(RemoteBody, ThatIsNoObjectStaysAsItIs) {
    EXPECT_EQ(remote_body("[1]", "m", false), "[1]");
    EXPECT_EQ(remote_body("--form", "m", false), "--form");
}

}  // namespace
}  // namespace drover::gateway::dialect

#include "gateway/need.hpp"

#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::gateway {
namespace {

using testing::HasSubstr;

/// Of one of llama.cpp's.
Status asks(std::string_view path, std::string task) {
    return check_need({.name = "a", .architecture = "llama", .task = std::move(task)}, path);
}

TEST(Need, IsWhatAnEndpointAsksOfAModel) {
    EXPECT_EQ(need_of("/v1/embeddings"), Need::embedding);
    EXPECT_EQ(need_of("/v1/rerank"), Need::rerank);
    EXPECT_EQ(need_of("/v1/chat/completions"), Need::generation);
}

TEST(Need, OfAnotherTaskIsRefusedWithTheRemedy) {
    EXPECT_THAT(asks("/v1/embeddings", "generate").error().message, HasSubstr("`task: embedding`"));
    EXPECT_THAT(asks("/v1/rerank", "embedding").error().message, HasSubstr("`task: rerank`"));
    EXPECT_THAT(asks("/v1/chat/completions", "embedding").error().message,
                HasSubstr("makes embeddings"));
    EXPECT_THAT(asks("/v1/messages", "rerank").error().message, HasSubstr("ranks documents"));
}

TEST(Need, ThatIsMetIsNotRefused) {
    EXPECT_TRUE(asks("/v1/embeddings", "embedding").ok());
    EXPECT_TRUE(asks("/v1/rerank", "rerank").ok());
    EXPECT_TRUE(asks("/v1/completions", "generate").ok());
    EXPECT_TRUE(asks("/v1/messages/count_tokens", "embedding").ok());
    EXPECT_TRUE(asks("/tokenize", "embedding").ok());
    EXPECT_TRUE(asks("/v1/audio/transcriptions", "generate").ok());
}

TEST(Need, OfAnotherEngineIsItsOwnMatter) {
    const control::ModelView vllm{
        .name = "a", .architecture = "BertModel", .task = "embedding", .only_openai = true};
    EXPECT_TRUE(check_need(vllm, "/v1/rerank").ok());
    EXPECT_TRUE(check_need({.name = "a", .task = "generate"}, "/v1/embeddings").ok());
}

}  // namespace
}  // namespace drover::gateway

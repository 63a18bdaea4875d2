#include "models/hugging_face.hpp"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::models {
namespace {

using ::testing::HasSubstr;

constexpr std::string_view kLlama = R"({"architectures": ["LlamaForCausalLM"],
    "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 8,
    "num_hidden_layers": 16, "max_position_embeddings": 131072})";

constexpr std::string_view kHead = R"({"__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "c": {"dtype": "F4", "shape": [3], "data_offsets": [32, 34]},
    "d": {"dtype": "I64", "shape": [], "data_offsets": [34, 42]}})";

TEST(HuggingFaceConfig, SaysWhatAPositionTakes) {
    const auto config = parse_hugging_face_config(kLlama);
    ASSERT_TRUE(config.ok()) << config.error().message;
    EXPECT_EQ(config->architecture, "LlamaForCausalLM");
    EXPECT_EQ(config->context_length, 131072U);
    EXPECT_EQ(config->head_length, 64U);
    EXPECT_EQ(config->kv_per_token(), Bytes(16 * 8 * 64 * 2 * 2));
    EXPECT_FALSE(config->pooling);
}

TEST(HuggingFaceConfig, PrefersWhatIsSaidOfHeads) {
    const auto config = parse_hugging_face_config(
        R"({"hidden_size": 640, "num_attention_heads": 4, "head_dim": 256, "num_hidden_layers": 1})");
    EXPECT_EQ(config->head_length, 256U);
    EXPECT_EQ(config->kv_heads, 4U);
    EXPECT_EQ(config->heads, 4U);
    EXPECT_FALSE(config->vision);
}

TEST(HuggingFaceConfig, FindsTheLanguagePartOfAModelThatSees) {
    const auto config = parse_hugging_face_config(
        R"({"architectures": ["GemmaForConditionalGeneration"], "text_config":
            {"num_hidden_layers": 2, "num_attention_heads": 2, "head_dim": 8}, "vision_config": {}})");
    EXPECT_TRUE(config->vision);
    EXPECT_EQ(config->kv_per_token(), Bytes(2 * 2 * 8 * 2 * 2));
}

TEST(HuggingFaceConfig, KnowsEmbeddingModels) {
    const auto config = parse_hugging_face_config(
        R"({"architectures": ["BertModel"], "num_hidden_layers": 6, "num_attention_heads": 12,
            "hidden_size": 384})");
    EXPECT_TRUE(config->pooling);
    EXPECT_EQ(config->kv_per_token(), Bytes(0));
}

TEST(HuggingFaceConfig, RefusesWhatCannotBe) {
    EXPECT_THAT(parse_hugging_face_config("[]").error().message, HasSubstr("no JSON object"));
    EXPECT_THAT(parse_hugging_face_config(R"({"hidden_size": -1})").error().message,
                HasSubstr("hidden_size"));
    EXPECT_FALSE(parse_hugging_face_config(R"({"num_hidden_layers": 99999999999})").ok());
    EXPECT_FALSE(parse_hugging_face_config(R"({"head_dim": "64"})").ok());
    EXPECT_FALSE(parse_hugging_face_config(std::string(100'000, '[')).ok());
}

TEST(HuggingFaceConfig, NeverOverflows) {
    const auto config = parse_hugging_face_config(
        R"({"num_hidden_layers": 16777216, "num_key_value_heads": 16777216, "head_dim": 16777216})");
    ASSERT_TRUE(config.ok());
    EXPECT_GT(config->kv_per_token(), Bytes(0));
}

TEST(Safetensors, AddsUpItsTensors) {
    const auto facts = parse_safetensors(kHead, 42);
    ASSERT_TRUE(facts.ok()) << facts.error().message;
    EXPECT_EQ(facts->tensors, 4U);
    EXPECT_EQ(facts->parameters, 14U);
    EXPECT_EQ(facts->stored, Bytes(42));
    EXPECT_EQ(facts->loaded, Bytes(12 + 8 + 2 + 8));
}

TEST(Safetensors, ReadsTheLengthOfItsHead) {
    EXPECT_EQ(*safetensors_head_length(std::string_view("\x10\x01\0\0\0\0\0\0rest", 12)), 272U);
    EXPECT_FALSE(safetensors_head_length("short").ok());
    EXPECT_FALSE(safetensors_head_length("\xff\xff\xff\xff\xff\xff\xff\xff").ok());
}

TEST(Safetensors, RefusesTensorsThatDoNotFit) {
    EXPECT_THAT(parse_safetensors(kHead, 41).error().message, HasSubstr("tensor 'd'"));
    const auto tensor = [](const std::string& fields) {
        return parse_safetensors("{\"t\": {" + fields + "}}", 1000);
    };
    EXPECT_TRUE(tensor(R"("dtype": "U8", "shape": [1], "data_offsets": [0, 1])").ok());
    for (const char* wrong :
         {R"("dtype": "U8", "shape": [2], "data_offsets": [0, 1])",
          R"("dtype": "U8", "shape": [1], "data_offsets": [1, 0])",
          R"("dtype": "U8", "shape": [1], "data_offsets": [0])",
          R"("dtype": "U8", "shape": [-1], "data_offsets": [0, 1])",
          R"("dtype": "U8", "shape": [4294967296, 4294967296, 4294967296], "data_offsets": [0, 0])",
          R"("dtype": "U9", "shape": [1], "data_offsets": [0, 1])",
          R"("dtype": 8, "shape": [1], "data_offsets": [0, 1])",
          R"("shape": [1], "data_offsets": [0, 1])"}) {
        EXPECT_FALSE(tensor(wrong).ok()) << wrong;
    }
    EXPECT_FALSE(parse_safetensors(R"({"t": 1})", 10).ok());
    EXPECT_FALSE(parse_safetensors("{", 10).ok());
}

TEST(Safetensors, RefusesTensorsThatLieOnEachOther) {
    EXPECT_FALSE(parse_safetensors(R"({"a": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]},
                              "b": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]}})",
                                   8)
                     .ok());
}

TEST(HuggingFace, TakesAnyBytesWithoutHarm) {
    // Heads with some bytes changed, cut short: an answer or an error, and sums that make sense.
    Rng rng(1);
    for (int i = 0; i < 3000; ++i) {
        std::string head(i % 2 == 0 ? kHead : kLlama);
        for (int change = 0; change < 3; ++change) {
            head[rng.below(head.size())] = static_cast<char>(rng.below(256));
        }
        head.resize(rng.below(4) == 0 ? rng.below(head.size()) : head.size());
        if (const auto facts = parse_safetensors(head, 42); facts.ok()) {
            EXPECT_LE(facts->stored, Bytes(42));
        }
        if (const auto config = parse_hugging_face_config(head); config.ok()) {
            EXPECT_GE(config->kv_per_token(), Bytes(0));
        }
    }
}

}  // namespace
}  // namespace drover::models

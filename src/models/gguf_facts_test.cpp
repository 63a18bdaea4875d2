#include "models/gguf_facts.hpp"

#include <string>

#include <gtest/gtest.h>

#include "models/testing/gguf_writer.hpp"

namespace drover::models {
namespace {

using testing::GgufWriter;
using testing::tiny_bert;
using testing::tiny_llama;

FilePart part_of(const GgufWriter& writer) {
    const auto file = writer.file();
    auto result = gguf::read_header(file, file.size());
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return {std::get<gguf::Header>(std::move(result).value()), file.size()};
}

Result<ModelFacts> facts_of(const GgufWriter& writer) {
    const FilePart part = part_of(writer);
    return facts_from(std::span(&part, 1));
}

/// A decoder of any architecture with `layers` layers, 4 heads of 8, 2 KV heads.
GgufWriter decoder(const std::string& arch, std::uint32_t layers) {
    GgufWriter writer;
    writer.text("general.architecture", arch)
        .number(arch + ".block_count", layers)
        .number(arch + ".context_length", 8192)
        .number(arch + ".embedding_length", 32)
        .number(arch + ".attention.head_count", 4)
        .tensor("token_embd.weight", 8, {32, 16}, 16 * 34);
    return writer;
}

TEST(GgufFacts, DescribesAPlainDecoder) {
    const ModelFacts facts = facts_of(tiny_llama()).value();
    EXPECT_EQ(facts.architecture, "llama");
    EXPECT_EQ(facts.name, "Tiny Llama");
    EXPECT_EQ(facts.licence, "mit");
    EXPECT_EQ(facts.quantisation, "Q4_0");
    EXPECT_EQ(facts.context_length, 2048U);
    EXPECT_EQ(facts.vocabulary, 16U);
    EXPECT_EQ(facts.chat_template, "{{ messages }}");
    EXPECT_FALSE(facts.pooling);
    EXPECT_TRUE(facts.causal);
    EXPECT_EQ(facts.cache, CacheKind::attention);
    ASSERT_EQ(facts.layers.size(), 2U);
    EXPECT_EQ(facts.layers[0].key_elements, 16U);
    EXPECT_EQ(facts.layers[0].value_elements, 16U);
    EXPECT_EQ(facts.parameters, 32U * 16 + 32U * 32 + 32U + 32U * 30);
}

TEST(GgufFacts, TellsLookupTablesFromMatricesAndCountsRepackableRows) {
    const WeightFacts weights = facts_of(tiny_llama()).value().weights;
    EXPECT_EQ(weights.total, Bytes(16 * 34 + 32 * 18 + 128 + 30 * 18));
    EXPECT_EQ(weights.input_embedding, Bytes(16 * 34));
    // Without an output matrix the embedding table is multiplied with, too.
    EXPECT_EQ(weights.tied_type, "q8_0");
    EXPECT_EQ(weights.tied_output.rows_by_8, Bytes(16 * 34));
    EXPECT_EQ(weights.matrices.at("q4_0").total, Bytes(32 * 18 + 30 * 18));
    EXPECT_EQ(weights.matrices.at("q4_0").rows_by_8, Bytes(32 * 18));
}

TEST(GgufFacts, KnowsEncodersAsEmbeddingModelsWithoutACache) {
    const ModelFacts facts = facts_of(tiny_bert()).value();
    EXPECT_TRUE(facts.pooling);
    EXPECT_FALSE(facts.reranker);
    EXPECT_FALSE(facts.causal);
    EXPECT_EQ(facts.cache, CacheKind::none);
    EXPECT_EQ(facts.layers[0].key_elements, 0U);
    EXPECT_TRUE(facts.weights.tied_type.empty());
}

TEST(GgufFacts, FindsTheSlidingLayersOfGemma3) {
    auto writer = decoder("gemma3", 12);
    writer.number("gemma3.attention.sliding_window", 512)
        .number("gemma3.attention.key_length", 256)
        .number("gemma3.attention.value_length", 256)
        .number("gemma3.attention.head_count_kv", 1);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.sliding_window, 512U);
    for (std::size_t i = 0; i < 12; ++i) {
        EXPECT_EQ(facts.layers[i].sliding_window, i != 5 && i != 11) << i;
        EXPECT_EQ(facts.layers[i].key_elements, 256U);
    }
}

TEST(GgufFacts, GivesAnIndexerOnlyToTheLayersThatOwnOne) {
    auto writer = decoder("glm-dsa", 4);
    writer.number("glm-dsa.attention.head_count_kv", 1)
        .number("glm-dsa.attention.key_length", 24)
        .number("glm-dsa.attention.key_length_mla", 16)
        .number("glm-dsa.attention.indexer.key_length", 12)
        .number("glm-dsa.attention.indexer.head_count", 3)
        .numbers("glm-dsa.attention.indexer.types", {1, 0, 1, 0});
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_TRUE(facts.cache_exact);
    EXPECT_EQ(facts.layers[0].key_elements, 24U);
    EXPECT_EQ(facts.layers[0].value_elements, 0U);
    EXPECT_EQ(facts.layers[0].index_elements, 12U);
    EXPECT_EQ(facts.layers[1].index_elements, 0U);
    EXPECT_EQ(facts.index_width, 36U);
}

TEST(GgufFacts, CountsTheValuesBesideMiniMaxsIndexer) {
    auto writer = decoder("minimax-m3", 3);
    writer.number("minimax-m3.attention.head_count_kv", 2)
        .number("minimax-m3.leading_dense_block_count", 1)
        .number("minimax-m3.attention.indexer.key_length", 12);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.layers[0].index_elements, 0U);
    EXPECT_EQ(facts.layers[1].index_elements, 12U);
    EXPECT_EQ(facts.layers[1].index_value_elements, 8U) << "one head's";
}

TEST(GgufFacts, CompressesTheContextOfDeepSeek4) {
    auto writer = decoder("deepseek4", 3);
    writer.number("deepseek4.attention.head_count_kv", 1)
        .number("deepseek4.attention.key_length", 16)
        .number("deepseek4.attention.sliding_window", 128)
        .number("deepseek4.attention.indexer.key_length", 10)
        .numbers("deepseek4.attention.compress_ratios", {0, 4, 128});
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_TRUE(facts.layers[0].sliding_window);
    EXPECT_EQ(facts.layers[0].value_elements, 0U);
    EXPECT_EQ(facts.layers[0].recurrent_state_bytes, 0U);
    EXPECT_EQ(facts.layers[1].compression, 4U);
    EXPECT_EQ(facts.layers[1].index_elements, 10U);
    // Keys and scores, twice four positions, both doubled because they overlap.
    EXPECT_EQ(facts.layers[1].recurrent_state_bytes, 4U * 2 * 8 * (2 * 16 + 2 * 10));
    EXPECT_EQ(facts.layers[2].recurrent_state_bytes, 4U * 2 * 128 * 16);
}

TEST(GgufFacts, KeepsTheLayersThatGuessTokensApart) {
    auto writer = decoder("glm4moe", 3);
    writer.number("glm4moe.attention.head_count_kv", 2)
        .number("glm4moe.nextn_predict_layers", 1)
        .tensor("blk.2.attn_q.weight", 0, {32, 32}, 4096);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.layers[1].key_elements, 16U);
    EXPECT_EQ(facts.layers[2].key_elements, 0U);
    ASSERT_EQ(facts.draft_layers.size(), 1U);
    EXPECT_EQ(facts.draft_layers[0].key_elements, 16U);
    EXPECT_EQ(facts.weights.draft, Bytes(4096));
    EXPECT_EQ(facts.weights.matrices.count("f32"), 0U) << "not read, so not repacked";
}

TEST(GgufFacts, TakesTheWidthOfExpertsFromTheirMatrices) {
    auto writer = decoder("dbrx", 1);
    writer.number("dbrx.feed_forward_length", 24)
        .number("dbrx.expert_count", 4)
        .number("dbrx.expert_used_count", 2)
        .tensor("blk.0.ffn_down_exps.weight", 0, {24, 32, 4}, 24 * 32 * 4 * 4);
    EXPECT_EQ(facts_of(writer).value().feed_forward_length, 48U);
}

TEST(GgufFacts, CountsWhatRecurrentLayersComputeWith) {
    auto writer = decoder("mamba2", 2);
    writer.number("mamba2.ssm.inner_size", 64)
        .number("mamba2.ssm.state_size", 16)
        .number("mamba2.ssm.group_count", 2)
        .number("mamba2.ssm.conv_kernel", 4);
    EXPECT_EQ(facts_of(writer).value().recurrent_width, 64U + 2 * 2 * 16);
}

TEST(GgufFacts, KnowsThatGrokHasNoFlashAttention) {
    EXPECT_FALSE(facts_of(decoder("grok", 1)).value().flash_attention);
    EXPECT_TRUE(facts_of(decoder("llama", 1)).value().flash_attention);
}

TEST(GgufFacts, TakesSlidingLayersFromAnArrayWhenThereIsOne) {
    auto writer = decoder("gemma4", 4);
    writer.number("gemma4.attention.sliding_window", 512)
        .booleans("gemma4.attention.sliding_window_pattern", {true, false, true, false})
        .number("gemma4.attention.key_length", 64)
        .number("gemma4.attention.key_length_swa", 16)
        .number("gemma4.attention.value_length", 64)
        .number("gemma4.attention.value_length_swa", 16)
        .number("gemma4.attention.shared_kv_layers", 1)
        .numbers("gemma4.attention.head_count_kv", {2, 1, 2, 1});
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.layers[0].key_elements, 32U);
    EXPECT_TRUE(facts.layers[0].sliding_window);
    EXPECT_EQ(facts.layers[1].key_elements, 64U);
    EXPECT_FALSE(facts.layers[1].sliding_window);
    EXPECT_EQ(facts.layers[3].key_elements, 0U) << "shares the cache of an earlier layer";
}

TEST(GgufFacts, KeepsOnlyACompressedKeyWithMla) {
    auto writer = decoder("deepseek2", 2);
    writer.number("deepseek2.attention.head_count_kv", 1)
        .number("deepseek2.attention.key_length", 576)
        .number("deepseek2.attention.value_length", 512)
        .number("deepseek2.attention.key_length_mla", 192)
        .number("deepseek2.attention.value_length_mla", 128);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.layers[0].key_elements, 576U);
    EXPECT_EQ(facts.layers[0].value_elements, 0U);
}

TEST(GgufFacts, GivesHybridsAttentionOrAState) {
    auto writer = decoder("qwen35", 4);
    writer.number("qwen35.attention.head_count_kv", 2)
        .number("qwen35.ssm.conv_kernel", 4)
        .number("qwen35.ssm.inner_size", 64)
        .number("qwen35.ssm.state_size", 16)
        .number("qwen35.ssm.group_count", 2);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_EQ(facts.cache, CacheKind::hybrid);
    EXPECT_EQ(facts.layers[0].key_elements, 0U);
    EXPECT_EQ(facts.layers[0].recurrent_state_bytes, 4U * (3 * (64 + 2 * 2 * 16) + 16 * 64));
    EXPECT_EQ(facts.layers[3].key_elements, 16U);
    EXPECT_EQ(facts.layers[3].recurrent_state_bytes, 0U);
}

TEST(GgufFacts, LeavesOutTheLayersOfADraftHead) {
    auto writer = decoder("glm4moe", 3);
    writer.number("glm4moe.nextn_predict_layers", 1);
    const ModelFacts facts = facts_of(writer).value();
    EXPECT_GT(facts.layers[1].key_elements, 0U);
    EXPECT_EQ(facts.layers[2].key_elements, 0U);
}

TEST(GgufFacts, RefusesProjectorsAdaptersAndVocabularies) {
    EXPECT_FALSE(facts_of(GgufWriter().text("general.architecture", "clip")).ok());
    EXPECT_FALSE(
        facts_of(GgufWriter().text("general.architecture", "llama").text("general.type", "adapter"))
            .ok());
    GgufWriter vocabulary;
    vocabulary.text("general.architecture", "llama")
        .number("llama.block_count", 1)
        .number("llama.context_length", 8)
        .number("llama.embedding_length", 8);
    EXPECT_FALSE(facts_of(vocabulary).ok());
    EXPECT_FALSE(facts_of(GgufWriter()).ok());
}

TEST(GgufFacts, AddsUpTheFilesOfASplitModelAndMissesNone) {
    auto first = tiny_llama();
    first.number("split.count", 2).number("split.no", 0);
    GgufWriter second;
    second.number("split.count", 2)
        .number("split.no", 1)
        .tensor("output.weight", 8, {32, 16}, 16 * 34);
    const std::vector<FilePart> parts{part_of(first), part_of(second)};
    const ModelFacts facts = facts_from(parts).value();
    EXPECT_TRUE(facts.weights.tied_type.empty());
    EXPECT_EQ(facts.file_size,
              Bytes(static_cast<std::int64_t>(first.file().size() + second.file().size())));

    const auto missing = facts_from(std::span(parts).first(1));
    ASSERT_FALSE(missing.ok());
    EXPECT_NE(missing.error().message.find("2 files, of which 1"), std::string::npos);
}

}  // namespace
}  // namespace drover::models

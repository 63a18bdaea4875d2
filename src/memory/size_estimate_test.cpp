#include "memory/size_estimate.hpp"

#include <gtest/gtest.h>

namespace drover::memory {
namespace {

using models::CacheKind;
using models::LayerFacts;
using models::ModelFacts;

/// Like SmolLM2-135M-Instruct Q4_1: 30 layers, 3 KV heads of 64, vocabulary of 49,152.
ModelFacts smol() {
    ModelFacts facts;
    facts.context_length = 8192;
    facts.embedding_length = 576;
    facts.output_length = 576;
    facts.feed_forward_length = 1536;
    facts.head_count = 9;
    facts.attention_width = 576;
    facts.vocabulary = 49152;
    facts.merges = 48900;
    facts.layers.resize(30, {192, 192, 0, false, 0});
    facts.weights.total = 92_MiB;
    facts.file_size = 94_MiB;
    return facts;
}

/// Like Gemma 3 270M: 18 layers with one KV head of 256, every sixth keeps everything.
ModelFacts gemma() {
    ModelFacts facts = smol();
    facts.layers.clear();
    for (int i = 0; i < 18; ++i) {
        facts.layers.push_back({256, 256, 0, i % 6 != 5, 0});
    }
    facts.sliding_window = 512;
    facts.vocabulary = 262144;
    return facts;
}

ModelFacts encoder() {
    ModelFacts facts = smol();
    facts.cache = CacheKind::none;
    facts.causal = false;
    facts.layers.assign(6, {});
    facts.vocabulary = 30522;
    return facts;
}

SizeSettings with(std::uint32_t context, std::uint32_t parallel) {
    SizeSettings settings;
    settings.context = context;
    settings.parallel = parallel;
    return settings;
}

// The figures are what the engine reports as "KV buffer size" for the real models.
TEST(SizeEstimate, ComputesTheKvCacheToTheByte) {
    EXPECT_EQ(estimate_size(smol(), with(4096, 2)).kv_cache, 180_MiB);
    EXPECT_EQ(estimate_size(smol(), with(4096, 1)).kv_cache, 90_MiB);
    EXPECT_EQ(estimate_size(smol(), with(512, 1)).kv_cache, Bytes(11796480));
}

TEST(SizeEstimate, RoundsTheContextUpAsTheEngineDoes) {
    EXPECT_EQ(estimate_size(smol(), with(4000, 2)).kv_cache, 180_MiB);
    EXPECT_EQ(estimate_size(smol(), with(1, 1)).kv_cache,
              estimate_size(smol(), with(256, 1)).kv_cache);
    // 3 x 100 tokens become 512, and each third of that 256.
    EXPECT_EQ(estimate_size(smol(), with(100, 3)).kv_cache,
              estimate_size(smol(), with(256, 3)).kv_cache);
}

TEST(SizeEstimate, KeepsOnlyTheWindowOfSlidingLayers) {
    EXPECT_EQ(estimate_size(gemma(), with(4096, 1)).kv_cache, 27_MiB);
    EXPECT_EQ(estimate_size(gemma(), with(4096, 2)).kv_cache, 54_MiB);
    EXPECT_EQ(estimate_size(gemma(), with(512, 1)).kv_cache, 9_MiB);
    SizeSettings small = with(4096, 2);
    small.batch = 128;
    EXPECT_EQ(estimate_size(gemma(), small).kv_cache, Bytes(48758784));  // 46.5 MiB
}

TEST(SizeEstimate, KeepsJointKeysOfTheWholeContextBesideAWindow) {
    ModelFacts facts = smol();
    LayerFacts layer{64, 0, 128, true, 1000};
    layer.compression = 4;
    facts.layers.assign(1, layer);
    facts.sliding_window = 640;
    const SizeEstimate size = estimate_size(facts, with(4096, 2));
    // A window of 640 and a batch of 512, rounded up; a quarter of the context; two bytes each.
    EXPECT_EQ(size.kv_cache, Bytes(2LL * 2 * (1280 * 64 + 1024 * (64 + 128))));
    EXPECT_EQ(size.recurrent_state, Bytes(2 * 1000));
}

TEST(SizeEstimate, CountsTheValuesBesideAnIndexersKeys) {
    ModelFacts facts = smol();
    facts.layers.assign(1,
                        LayerFacts{.key_elements = 128,
                                   .value_elements = 128,
                                   .index_elements = 128,
                                   .index_value_elements = 64});
    EXPECT_EQ(estimate_size(facts, with(4096, 1)).kv_cache, Bytes(4096LL * 2 * (128 * 3 + 64)));
}

TEST(SizeEstimate, LeavesLayersThatGuessTokensInTheFileUntilTheyAreUsed) {
    ModelFacts facts = smol();
    facts.layers.back() = {};
    facts.draft_layers.assign(1, LayerFacts{.key_elements = 192, .value_elements = 192});
    facts.weights.draft = 3_MiB;
    SizeSettings settings = with(4096, 1);
    settings.cache_type_k = settings.cache_type_v = "q8_0";
    const SizeEstimate unused = estimate_size(facts, settings);
    settings.drafts = true;
    const SizeEstimate used = estimate_size(facts, settings);
    EXPECT_EQ(used.weights_mapped - unused.weights_mapped, 3_MiB);
    EXPECT_EQ(used.kv_cache - unused.kv_cache, 3_MiB) << "f16, whatever the model's own is";
    EXPECT_GT(used.compute_buffer, unused.compute_buffer * 2 - 1_MiB);
}

TEST(SizeEstimate, ComputesAllScoresWhereTheEngineHasNoFlashAttention) {
    ModelFacts facts = smol();
    facts.flash_attention = false;
    SizeSettings off = with(4096, 1);
    off.flash_attention = false;
    EXPECT_EQ(estimate_size(facts, with(4096, 1)).compute_buffer,
              estimate_size(smol(), off).compute_buffer);
}

TEST(SizeEstimate, HasNoMaskOfTheWholeContextWhereAllLayersSlide) {
    ModelFacts facts = gemma();
    const Bytes mixed = estimate_size(facts, with(8192, 1)).compute_buffer;
    for (LayerFacts& layer : facts.layers) {
        layer.sliding_window = true;
    }
    const Bytes sliding = estimate_size(facts, with(8192, 1)).compute_buffer;
    // 512 tokens of a batch, each with a number of two bytes for each position.
    EXPECT_EQ(mixed - sliding, Bytes(512LL * 2 * (8192 - 1024)));
}

TEST(SizeEstimate, CountsWhatLiesBesideAModel) {
    const models::Companions beside{.adapters = 10_MiB,
                                    .projector = 20_MiB,
                                    .projector_buffers = 30_MiB,
                                    .draft = 40_MiB,
                                    .draft_buffers = 50_MiB};
    const LayerSizes alone = layer_sizes(smol(), with(4096, 1));
    const LayerSizes sizes = layer_sizes(smol(), with(4096, 1), beside);
    EXPECT_EQ(sizes.all_on_host - alone.all_on_host, 150_MiB);
    EXPECT_EQ(sizes.all_on_host_growth - alone.all_on_host_growth, 80_MiB);
    EXPECT_EQ(sizes.first, 150_MiB);
}

TEST(SizeEstimate, ShrinksWithTheCacheTypes) {
    SizeSettings settings = with(4096, 2);
    settings.cache_type_k = "q8_0";
    settings.cache_type_v = "q4_0";
    const Bytes kv = estimate_size(smol(), settings).kv_cache;
    EXPECT_EQ(kv, Bytes(8192LL * 30 * (192 / 32) * (34 + 18)));
}

TEST(SizeEstimate, PadsValuesToTheWidestLayerWithoutFlashAttention) {
    ModelFacts facts = smol();
    facts.layers[0].value_elements = 384;
    SizeSettings settings = with(256, 1);
    const Bytes with_flash = estimate_size(facts, settings).kv_cache;
    settings.flash_attention = false;
    EXPECT_EQ(estimate_size(facts, settings).kv_cache - with_flash, Bytes(29LL * 256 * 192 * 2));
}

TEST(SizeEstimate, GivesEncodersNoCache) {
    SizeSettings settings = with(512, 4);
    settings.embeds = true;
    settings.batch = 512;
    const SizeEstimate size = estimate_size(encoder(), settings);
    EXPECT_EQ(size.kv_cache, Bytes(0));
    // The engine has room for the logits of every token of a batch, needed or not.
    EXPECT_GE(size.output_buffer, Bytes(512LL * 30522 * 4));
}

TEST(SizeEstimate, CountsRecurrentStatesBySequenceNotByContext) {
    ModelFacts facts = smol();
    facts.cache = CacheKind::hybrid;
    facts.layers[0] = {0, 0, 0, false, 1 << 20};
    EXPECT_EQ(estimate_size(facts, with(512, 3)).recurrent_state, 3_MiB);
    EXPECT_EQ(estimate_size(facts, with(4096, 3)).recurrent_state, 3_MiB);
}

TEST(SizeEstimate, CountsRepackedWeightsOnTopOfAMappingOnly) {
    ModelFacts facts = smol();
    facts.weights.matrices["q4_0"] = {80_MiB, 80_MiB, 80_MiB, 80_MiB};
    SizeSettings settings = with(512, 1);
    settings.cpu.avx2 = true;
    SizeEstimate size = estimate_size(facts, settings);
    EXPECT_EQ(size.weights_mapped, 92_MiB);
    EXPECT_EQ(size.weights_anonymous, 80_MiB);
    settings.map_weights = false;
    size = estimate_size(facts, settings);
    EXPECT_EQ(size.weights_mapped + size.weights_anonymous, 92_MiB);
    settings.map_weights = true;
    settings.repack = false;
    size = estimate_size(facts, settings);
    EXPECT_EQ(size.weights_anonymous, Bytes(0));
}

TEST(SizeEstimate, IsTheSumOfItsParts) {
    SizeSettings settings = with(2048, 2);
    settings.prompt_cache = 64_MiB;
    settings.checkpoints = 2;
    const SizeEstimate size = estimate_size(gemma(), settings);
    EXPECT_GT(size.checkpoints, Bytes(0));
    EXPECT_EQ(size.total(),
              size.weights_mapped + size.weights_anonymous + size.kv_cache + size.recurrent_state +
                  size.output_buffer + size.compute_buffer + size.sampling + size.checkpoints +
                  size.prompt_cache + size.process);
}

TEST(SizeEstimate, FindsTheLargestContextThatFits) {
    const SizeSettings settings = with(8192, 1);
    const Bytes half = estimate_size(smol(), with(4096, 1)).total();
    EXPECT_EQ(largest_context_that_fits(smol(), settings, half), 4096U);
    EXPECT_EQ(largest_context_that_fits(smol(), settings, half - Bytes(1)), 3840U);
    EXPECT_EQ(largest_context_that_fits(smol(), settings, 100_GiB), 8192U);
    EXPECT_EQ(largest_context_that_fits(smol(), settings, 50_MiB), std::nullopt);
}

TEST(SizeEstimate, ExpectsAColdLoadToTakeLonger) {
    const SizeEstimate size = estimate_size(smol(), with(4096, 2));
    const Duration warm = expected_load_time(smol(), size, true);
    EXPECT_GT(warm, std::chrono::milliseconds(50));
    EXPECT_LT(warm, std::chrono::milliseconds(500));
    EXPECT_GT(expected_load_time(smol(), size, false), warm + std::chrono::milliseconds(80));
}

TEST(SizeEstimate, DoesNotOverflowOnTheLargestPlausibleNumbers) {
    ModelFacts facts = smol();
    facts.context_length = 1U << 24;
    facts.layers.resize(512, {1U << 24, 1U << 24, 0, false, 0});
    EXPECT_GT(estimate_size(facts, with(1U << 24, 1)).total(), Bytes(0));
}

}  // namespace
}  // namespace drover::memory

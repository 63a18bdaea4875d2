#include "engines/settings.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::engines {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

models::ModelFacts decoder(std::uint32_t trained) {
    models::ModelFacts facts;
    facts.context_length = trained;
    return facts;
}

models::ModelFacts encoder(std::uint32_t trained) {
    models::ModelFacts facts = decoder(trained);
    facts.cache = models::CacheKind::none;
    facts.causal = false;
    facts.pooling = true;
    return facts;
}

Result<ResolvedSettings> resolve(const config::ModelSettings& model,
                                 const models::ModelFacts& facts,
                                 const config::ModelSettings& defaults = {}) {
    return resolve_settings(config::Task::automatic, model, defaults, facts);
}

TEST(Settings, AreCompleteWithoutAnyConfiguration) {
    const ResolvedSettings chat = resolve({}, decoder(131072)).value();
    EXPECT_EQ(chat.task, config::Task::generate);
    EXPECT_EQ(chat.context, 4096U);
    EXPECT_EQ(chat.parallel, 2U);
    EXPECT_EQ(chat.batch, 512U);
    EXPECT_EQ(chat.checkpoints, 0U);
    EXPECT_TRUE(chat.repack);
    EXPECT_THAT(chat.notes, IsEmpty());
    EXPECT_EQ(resolve({}, decoder(2048)).value().context, 2048U);
}

TEST(Settings, GiveAnEmbeddingModelABatchThatHoldsOneInput) {
    const ResolvedSettings settings = resolve({}, encoder(8192)).value();
    EXPECT_EQ(settings.task, config::Task::embedding);
    EXPECT_EQ(settings.parallel, 4U);
    EXPECT_EQ(settings.context, 4096U);
    EXPECT_EQ(settings.batch, 4096U);
    EXPECT_EQ(settings.prompt_cache, Bytes(0));
}

TEST(Settings, PreferTheModelOverTheDefaults) {
    config::ModelSettings model;
    model.context = 1024;
    config::ModelSettings defaults;
    defaults.context = 512;
    defaults.parallel = 7;
    defaults.extra_args = {"--x"};
    const ResolvedSettings settings = resolve(model, decoder(8192), defaults).value();
    EXPECT_EQ(settings.context, 1024U);
    EXPECT_EQ(settings.parallel, 7U);
    EXPECT_THAT(settings.extra_args, SizeIs(1));
}

TEST(Settings, StayWithinTheTrainedContextAndSaySo) {
    config::ModelSettings model;
    model.context = 100'000;
    const ResolvedSettings settings = resolve(model, decoder(8192)).value();
    EXPECT_EQ(settings.context, 8192U);
    ASSERT_THAT(settings.notes, SizeIs(1));
    EXPECT_THAT(settings.notes[0], HasSubstr("8192"));
}

TEST(Settings, KeepRoomForOneMoreConversation) {
    auto facts = decoder(4096);
    facts.layers.resize(10, {512, 512, 0, false, 0});
    EXPECT_EQ(resolve({}, facts)->prompt_cache, 80_MiB);
    facts.layers.resize(100, {512, 512, 0, false, 0});
    EXPECT_EQ(resolve({}, facts)->prompt_cache, kPromptCacheDefaultMax);
    config::ModelSettings none;
    none.prompt_cache = Bytes(0);
    EXPECT_EQ(resolve(none, facts)->prompt_cache, Bytes(0));
}

TEST(Settings, KeepCheckpointsForModelsThatForget) {
    auto facts = decoder(8192);
    facts.sliding_window = 512;
    EXPECT_EQ(resolve({}, facts).value().checkpoints, kCheckpointsDefault);
}

TEST(Settings, ReadWeightsThatAreMostlyRepackedInsteadOfMappingThem) {
    auto facts = decoder(8192);
    facts.weights.total = 100_MiB;
    facts.weights.matrices["q4_0"] = {90_MiB, 90_MiB, 90_MiB, 90_MiB};
    models::CpuFeatures cpu;
    cpu.avx2 = true;
    const auto task = config::Task::automatic;
    EXPECT_FALSE(resolve_settings(task, {}, {}, facts, cpu)->map_weights);
    EXPECT_TRUE(resolve_settings(task, {}, {}, facts, {})->map_weights);
    config::ModelSettings plain;
    plain.repack = false;
    EXPECT_TRUE(resolve_settings(task, plain, {}, facts, cpu)->map_weights);
}

TEST(Settings, RefuseSizesThatArePassedOnAndWarnOfThoseThatNobodyCounts) {
    config::ModelSettings defaults;
    defaults.extra_args = {"--ctx-size", "65536"};
    EXPECT_THAT(resolve({}, decoder(8192), defaults).error().message, HasSubstr("'context'"));
    config::ModelSettings model;
    model.extra_args = {"--swa-full"};
    const ResolvedSettings settings = resolve(model, decoder(8192), defaults).value();
    ASSERT_THAT(settings.notes, SizeIs(1));
    EXPECT_THAT(settings.notes[0], HasSubstr("--swa-full"));
}

TEST(Settings, RefuseWhatTheEngineCannotDo) {
    config::ModelSettings model;
    model.cache_type_k = "q3_0";
    EXPECT_THAT(resolve(model, decoder(8192)).error().message, HasSubstr("q8_0"));
    model = {};
    model.cache_type_v = "q8_0";
    model.flash_attention = false;
    EXPECT_THAT(resolve(model, decoder(8192)).error().message, HasSubstr("flash attention"));
    model = {};
    model.parallel = 257;
    EXPECT_FALSE(resolve(model, decoder(8192)).ok());
    model = {};
    model.context = 0;
    EXPECT_FALSE(resolve(model, decoder(8192)).ok());
    model = {};
    model.context = 1U << 24;
    model.parallel = 256;
    EXPECT_FALSE(resolve(model, decoder(1U << 24)).ok());
}

}  // namespace
}  // namespace drover::engines

#include "control/sizing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace drover::control {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

models::ModelFacts facts() {
    models::ModelFacts result;
    result.context_length = 8192;
    result.embedding_length = 576;
    result.feed_forward_length = 1536;
    result.vocabulary = 49152;
    result.layers.resize(30, {192, 192, 0, false, 0});
    result.weights.total = 92_MiB;
    return result;
}

memory::SizeSettings settings() {
    memory::SizeSettings result;
    result.context = 8192;
    result.parallel = 2;
    result.prompt_cache = 64_MiB;
    return result;
}

TEST(Sizing, TakesEverythingThatSizesDependOnFromTheSettings) {
    engines::ResolvedSettings resolved;
    resolved.task = config::Task::embedding;
    resolved.context = 100;
    resolved.cache_type_v = "q8_0";
    resolved.flash_attention = false;
    resolved.map_weights = false;
    resolved.checkpoints = 3;
    const memory::SizeSettings result = size_settings(resolved, {});
    EXPECT_TRUE(result.embeds);
    EXPECT_EQ(result.context, 100U);
    EXPECT_EQ(result.cache_type_v, "q8_0");
    EXPECT_FALSE(result.flash_attention);
    EXPECT_FALSE(result.map_weights);
    EXPECT_EQ(result.checkpoints, 3U);
}

TEST(Sizing, AdvisesTheMildestChangeThatIsEnough) {
    const Bytes whole = memory::estimate_size(facts(), settings()).total();
    const std::string first = size_advice(facts(), settings(), whole - 1_MiB);
    EXPECT_THAT(first, HasSubstr("would fit with prompt_cache: 0."));
    const std::string second = size_advice(facts(), settings(), whole - 100_MiB);
    EXPECT_THAT(second, HasSubstr("prompt_cache: 0, parallel: 1."));
    const std::string third = size_advice(facts(), settings(), whole - 300_MiB);
    EXPECT_THAT(third, HasSubstr("parallel: 1, context: "));
    EXPECT_THAT(third, HasSubstr("92.0 MiB of weights"));
}

TEST(Sizing, SaysSoWhenNoSettingHelps) {
    const std::string text = size_advice(facts(), settings(), 10_MiB);
    EXPECT_THAT(text, HasSubstr("smaller quantisation"));
    EXPECT_THAT(text, Not(HasSubstr("would fit")));
}

TEST(SizeSettingsText, DiffersWithEverySetting) {
    memory::SizeSettings settings;
    const std::string plain = text_of(settings);
    settings.context += 1;
    EXPECT_NE(text_of(settings), plain);
    settings = {};
    settings.cache_type_v = "q8_0";
    EXPECT_NE(text_of(settings), plain);
    settings = {};
    settings.prompt_cache = 1_MiB;
    EXPECT_NE(text_of(settings), plain);
    EXPECT_EQ(text_of({}), plain);
}

}  // namespace
}  // namespace drover::control

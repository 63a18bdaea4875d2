#include "models/naming.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/nearest.hpp"

namespace drover::models {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Naming, CutsTheQuantisationOffAFileName) {
    EXPECT_EQ(short_name("SmolLM2-135M-Instruct.Q4_1"), "smollm2-135m-instruct");
    EXPECT_EQ(short_name("gemma-3-270m-it-Q4_K_M"), "gemma-3-270m-it");
    EXPECT_EQ(short_name("all-MiniLM-L6-v2.Q8_0"), "all-minilm-l6-v2");
    EXPECT_EQ(short_name("DeepSeek-R1-UD-IQ1_S"), "deepseek-r1");
    EXPECT_EQ(short_name("bge-m3-f16"), "bge-m3");
    EXPECT_EQ(short_name("gpt-oss-20b-mxfp4"), "gpt-oss-20b");
    EXPECT_EQ(short_name("model.q4_k_m.imatrix"), "model");
    EXPECT_EQ(short_name("gemma_3_270m_q4_k_m"), "gemma_3_270m");
}

TEST(Naming, KeepsNamesWithoutAQuantisationWhole) {
    EXPECT_EQ(short_name("Qwen3-8B"), "qwen3-8b");
    EXPECT_EQ(short_name("Phi-3.5-mini"), "phi-3.5-mini");
    EXPECT_EQ(short_name("Q4_K_M"), "q4_k_m");
    EXPECT_EQ(short_name(""), "");
}

TEST(Naming, TellsThePartsOfASplitModel) {
    const auto split = parse_split_name("Big-Q4_K_M-00002-of-00005");
    ASSERT_TRUE(split.has_value());
    EXPECT_EQ(split->base, "Big-Q4_K_M");
    EXPECT_EQ(split->part, 2U);
    EXPECT_EQ(split->count, 5U);
    EXPECT_EQ(split->stem_of(1), "Big-Q4_K_M-00001-of-00005");
    EXPECT_FALSE(parse_split_name("Big-00006-of-00005").has_value());
    EXPECT_FALSE(parse_split_name("Big-00000-of-00005").has_value());
    EXPECT_FALSE(parse_split_name("Big-1-of-5").has_value());
    EXPECT_FALSE(parse_split_name("-00001-of-00005").has_value());
}

TEST(Naming, FindsProjectors) {
    EXPECT_TRUE(is_projector("mmproj-model-f16"));
    EXPECT_TRUE(is_projector("gemma-3-4b-MMPROJ"));
    EXPECT_FALSE(is_projector("gemma-3-4b"));
}

TEST(Naming, SuggestsNearNamesNearestFirst) {
    const std::vector<std::string> names{"gemma-3-270m-it", "minilm", "smollm2-135m-instruct"};
    EXPECT_THAT(nearest_names("minlim", names, 3), ElementsAre("minilm"));
    EXPECT_THAT(nearest_names("SMOL", names, 3), ElementsAre("smollm2-135m-instruct"));
    EXPECT_THAT(nearest_names("gemma-3-270m", names, 3), ElementsAre("gemma-3-270m-it"));
    EXPECT_THAT(nearest_names("gpt-4o", names, 3), IsEmpty());
    EXPECT_THAT(nearest_names("m", {"a", "b"}, 3), IsEmpty());
}

}  // namespace
}  // namespace drover::models

#include "planner/model_spec.hpp"

#include <gtest/gtest.h>

namespace drover::planner {
namespace {

double gigabytes(const std::string& spec) {
    return static_cast<double>(facts_of_spec(spec).value().value().weights.total.count()) / 1e9;
}

TEST(ModelSpec, ComesOutNearTheSizesOfRealFiles) {
    // Llama 2 7B, Qwen 3 30B and Llama 3.3 70B as published: 3.8, 17.3, 40.0; 4.1, 18.6, 42.5.
    EXPECT_NEAR(gigabytes("7b-q4"), 3.9, 0.2);
    EXPECT_NEAR(gigabytes("30b-q4"), 17.3, 0.3);
    EXPECT_NEAR(gigabytes("70b-q4"), 40.0, 0.5);
    EXPECT_NEAR(gigabytes("7b:Q4_K_M"), 4.2, 0.2);
    EXPECT_NEAR(gigabytes("30b:q4_k_m"), 18.6, 0.4);
    EXPECT_NEAR(gigabytes("70b"), 42.5, 0.5);
    EXPECT_NEAR(gigabytes("0.5b-f16"), 1.0, 0.01);
    EXPECT_NEAR(gigabytes("270m-q8"), 0.29, 0.01);
}

TEST(ModelSpec, KnowsMixturesOfExperts) {
    // Mixtral 8x7B and 8x22B as published: 46.7 and 141 billion parameters; Q4_0 26.4 and 80 GB.
    EXPECT_NEAR(gigabytes("8x7b-q4"), 26.4, 0.8);
    EXPECT_NEAR(gigabytes("8x22b-q4"), 80, 4);
    const auto facts = facts_of_spec("8x7b-q4").value().value();
    EXPECT_EQ(facts.expert_count, 8U);
    EXPECT_EQ(facts.experts_used, 2U);
    EXPECT_EQ(facts.layers.size(), 32U);
    for (const char* none : {"8xb-q4", "x7b-q4", "8x-q4", "1x7b", "2.5x7b", "8x7x7b"}) {
        EXPECT_FALSE(facts_of_spec(none).has_value()) << none;
    }
}

TEST(ModelSpec, KnowsQ5KS) {
    EXPECT_NEAR(gigabytes("8b-q5_k_s"), 5.57, 0.1);
}

TEST(ModelSpec, KnowsEmbeddingModels) {
    for (const char* spec : {"embedding", "embed-0.3b-f16", "embedding-1b:q8"}) {
        const auto facts = facts_of_spec(spec).value().value();
        EXPECT_TRUE(facts.pooling) << spec;
        EXPECT_FALSE(facts.causal) << spec;
    }
    EXPECT_FALSE(facts_of_spec("1b")->value().pooling);
}

TEST(ModelSpec, LeavesNamesAlone) {
    for (const char* name :
         {"", "b", "q4", "smollm2-135m", "7", "7x", "model.gguf", "-7b", "x7b-q4"}) {
        EXPECT_TRUE(!facts_of_spec(name).has_value() || !facts_of_spec(name)->ok()) << name;
    }
    EXPECT_FALSE(facts_of_spec("smollm2-135m-instruct").has_value());
}

TEST(ModelSpec, SaysWhatIsWrongWithOneThatLooksLikeIt) {
    const auto unknown = facts_of_spec("7b-q99");
    ASSERT_TRUE(unknown.has_value() && !unknown->ok());
    EXPECT_NE(unknown->error().message.find("Q4_K_M"), std::string::npos);
    for (const char* size : {"0b", "1000000b-q4", "0.5m"}) {
        ASSERT_TRUE(facts_of_spec(size).has_value()) << size;
        EXPECT_FALSE(facts_of_spec(size)->ok()) << size;
    }
}

TEST(ModelSpec, RequantisesToTheSizeOfAModelMadeSo) {
    const auto large = facts_of_spec("8b-q8").value().value();
    const auto small = requantised(large, "Q4_K_M");
    EXPECT_EQ(small.weights.total, facts_of_spec("8b:q4_k_m")->value().weights.total);
    EXPECT_EQ(small.quantisation, "Q4_K_M");
    auto fuller = large;
    fuller.weights.total += fuller.weights.total;
    EXPECT_GT(requantised(fuller, "Q4_K_M").weights.total, small.weights.total);
}

}  // namespace
}  // namespace drover::planner

#include "engines/speculation.hpp"

#include <gtest/gtest.h>

namespace drover::engines {
namespace {

TEST(Speculation, IsOffWithoutOptions) {
    EXPECT_TRUE(speculation_of({"--no-context-shift", "--model-draft"}).draft_model.empty());
    EXPECT_FALSE(speculation_of({}).own_layers);
}

TEST(Speculation, KnowsAllNamesOfADraftModel) {
    for (const char* option : {"-md", "--model-draft", "--spec-draft-model"}) {
        EXPECT_EQ(speculation_of({option, "/m/draft.gguf", "--x"}).draft_model, "/m/draft.gguf");
    }
}

TEST(Speculation, KnowsTheModelsOwnLayers) {
    EXPECT_TRUE(speculation_of({"--spec-type", "ngram-mod,draft-mtp"}).own_layers);
    EXPECT_FALSE(speculation_of({"--spec-type", "ngram-mod"}).own_layers);
}

}  // namespace
}  // namespace drover::engines

#include "store/quantise.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/testing/gguf_writer.hpp"
#include "support/temp_dir.hpp"

namespace drover::store {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint32_t kHalfFloats = 1;
constexpr std::uint32_t kFourBits = 2;

TEST(QuantisationType, IsReadInAnyCaseAndByItsShortName) {
    EXPECT_EQ(*quantisation_type("q4_k_m"), "Q4_K_M");
    EXPECT_EQ(*quantisation_type("Q4_K"), "Q4_K_M");
    EXPECT_EQ(*quantisation_type("q8_0"), "Q8_0");
    const auto unknown = quantisation_type("Q9");
    ASSERT_FALSE(unknown.ok());
    EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(unknown.error().message, HasSubstr("supported types are Q2_K"));
}

class QuantiseTest : public ::testing::Test {
  protected:
    /// A model of the store that says that it has this type.
    Layer model(std::uint32_t file_type) const {
        models::testing::GgufWriter writer;
        writer.text("general.architecture", "llama")
            .number("general.file_type", file_type)
            .number("llama.block_count", 1)
            .number("llama.context_length", 8192)
            .number("llama.embedding_length", 32)
            .number("llama.attention.head_count", 4)
            .tensor("token_embd.weight", kHalfFloats, {32, 16}, 1024);
        const auto bytes = writer.file();
        return *store_.put_blob(
            layer_kind::kModel,
            std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }

    /// Stands for llama-quantize: does what `script` says.
    fs::path program(const std::string& script) const {
        const fs::path file = directory_ / "llama-quantize";
        std::ofstream(file) << "#!/bin/sh\n" << script << "\n";
        fs::permissions(file, fs::perms::owner_all);
        return file;
    }

    Result<Layer> run(const Layer& layer, const std::string& script) {
        const auto tell = [this](const Progress& progress) {
            told_.push_back(progress);
        };
        return quantise(store_, layer, "Q4_K_M", program(script), tell, {});
    }

    std::size_t blobs() const {
        const fs::directory_iterator all(store_.root() / "blobs");
        return static_cast<std::size_t>(std::distance(fs::begin(all), fs::end(all)));
    }

    testing::TempDir directory_;
    Store store_{directory_ / "store"};
    std::vector<Progress> told_;
};

TEST_F(QuantiseTest, TellsHowFarItIsAndKeepsTheResultByItsDigest) {
    const Layer layer = model(kHalfFloats);
    const auto smaller =
        run(layer, "echo 'loading'; echo '[   1/   4] a'; echo '[   4/   4] b'; printf $3 > $2");
    ASSERT_TRUE(smaller.ok()) << smaller.error().message;
    EXPECT_EQ(smaller->digest, digest_of("Q4_K_M"));
    EXPECT_TRUE(store_.has(smaller->digest, Bytes(6)));
    EXPECT_EQ(smaller->media_type, layer.media_type);
    EXPECT_EQ(blobs(), 2U);
    ASSERT_GE(told_.size(), 2U);
    EXPECT_EQ(told_.front().status, "quantizing F16 model to Q4_K_M");
    EXPECT_EQ(told_[told_.size() - 2].completed, told_.front().total);
    EXPECT_EQ(told_.back().status, "verifying conversion");
}

TEST_F(QuantiseTest, FailsWithTheProgramsLastWordsAndLeavesNothing) {
    const auto failed = run(model(kHalfFloats), "echo 'out of luck'; exit 3");
    ASSERT_FALSE(failed.ok());
    EXPECT_THAT(failed.error().message, HasSubstr("status 3: out of luck"));
    EXPECT_EQ(blobs(), 1U);
}

TEST_F(QuantiseTest, BeginsWithWholeWeightsOnly) {
    const auto refused = run(model(kFourBits), "exit 3");
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, ErrorCode::invalid_argument);
    EXPECT_THAT(refused.error().message, HasSubstr("F16, BF16 and F32"));
}

}  // namespace
}  // namespace drover::store

#include "models/gguf.hpp"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "models/gguf_facts.hpp"
#include "models/testing/gguf_writer.hpp"

namespace drover::models::gguf {
namespace {

using testing::GgufWriter;
using testing::tiny_llama;

Result<std::variant<Header, Incomplete>> read(const std::vector<std::byte>& bytes) {
    return read_header(bytes, bytes.size());
}

Header read_whole(const GgufWriter& writer) {
    auto result = read(writer.file());
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message);
    return std::get<Header>(std::move(result).value());
}

std::string error_of(const std::vector<std::byte>& bytes) {
    const auto result = read(bytes);
    EXPECT_FALSE(result.ok());
    if (result.ok()) {
        return "";
    }
    EXPECT_EQ(result.error().code, ErrorCode::invalid_argument);
    return result.error().message;
}

TEST(Gguf, ReadsMetadataOfEveryKindThatMatters) {
    const Header header = read_whole(tiny_llama());
    EXPECT_EQ(header.version, 3U);
    EXPECT_EQ(header.text("general.architecture"), "llama");
    EXPECT_EQ(header.number("llama.context_length"), 2048U);
    ASSERT_NE(header.array("tokenizer.ggml.tokens"), nullptr);
    EXPECT_EQ(header.array("tokenizer.ggml.tokens")->count, 16U);
    EXPECT_TRUE(header.array("tokenizer.ggml.tokens")->numbers.empty());
    EXPECT_EQ(header.number("general.architecture"), std::nullopt);
    EXPECT_EQ(header.text("no.such.key"), std::nullopt);
}

TEST(Gguf, GivesTensorsTheirExactSizes) {
    const Header header = read_whole(tiny_llama());
    ASSERT_EQ(header.tensors.size(), 4U);
    EXPECT_EQ(header.tensors[1].name, "blk.0.attn_q.weight");
    EXPECT_EQ(header.tensors[1].bytes, 32U * 18U);
    EXPECT_EQ(header.tensors[1].type->name, "q4_0");
    EXPECT_EQ(header.tensors[2].bytes, 128U);
    EXPECT_EQ(header.data_offset % 32, 0U);
}

TEST(Gguf, AsksForMoreUntilThePrefixHoldsTheHeader) {
    // Grows the prefix by what the reader asks for: it must always ask for more than it had, never
    // for more than the header, and end with the header read.
    const auto file = tiny_llama().file();
    const std::size_t header_bytes = tiny_llama().header().size();
    std::uint64_t have = 0;
    for (int round = 0; round < 1000; ++round) {
        const auto result = read_header(std::span(file).first(have), file.size());
        ASSERT_TRUE(result.ok()) << result.error().message;
        const auto* incomplete = std::get_if<Incomplete>(&result.value());
        if (incomplete == nullptr) {
            return;
        }
        ASSERT_GT(incomplete->bytes_needed, have);
        ASSERT_LE(incomplete->bytes_needed, header_bytes);
        have = incomplete->bytes_needed;
    }
    FAIL() << "never complete";
}

TEST(Gguf, SaysHowManyBytesATruncatedFileLacks) {
    auto file = tiny_llama().file();
    // The padding after the last tensor is not needed; go below it.
    file.resize(tiny_llama().header().size() + tiny_llama().data_bytes() - 32 - 4);
    const std::string message = error_of(file);
    EXPECT_NE(message.find("truncated"), std::string::npos) << message;
    EXPECT_NE(message.find(" bytes are missing"), std::string::npos) << message;

    file.resize(100);
    EXPECT_NE(error_of(file).find("truncated"), std::string::npos);
}

TEST(Gguf, RefusesWhatIsNotAGgufFile) {
    auto file = tiny_llama().file();
    file[0] = std::byte{'X'};
    EXPECT_EQ(error_of(file), "not a GGUF file");
}

TEST(Gguf, NamesBigEndianAndOldVersions) {
    EXPECT_NE(error_of(GgufWriter(0x03000000).file()).find("big-endian"), std::string::npos);
    EXPECT_NE(error_of(GgufWriter(1).file()).find("version 1"), std::string::npos);
    EXPECT_NE(error_of(GgufWriter(4).file()).find("version 4"), std::string::npos);
    EXPECT_TRUE(read(GgufWriter(2).file()).ok());
}

TEST(Gguf, RefusesNestedArraysAndDuplicates) {
    EXPECT_NE(error_of(GgufWriter().nested("deep").file()).find("nested"), std::string::npos);
    EXPECT_NE(error_of(GgufWriter().number("k", 1).number("k", 2).file()).find("twice"),
              std::string::npos);
    EXPECT_NE(
        error_of(GgufWriter().tensor("a", 0, {8}, 32).tensor("a", 0, {8}, 32).file()).find("twice"),
        std::string::npos);
}

TEST(Gguf, RefusesImpossibleTensors) {
    const std::uint64_t huge = std::uint64_t{1} << 62;
    EXPECT_NE(error_of(GgufWriter().tensor("a", 0, {huge, 8}, 0).file()).find("impossible"),
              std::string::npos);
    EXPECT_NE(error_of(GgufWriter().tensor("a", 2, {33}, 0).file()).find("impossible"),
              std::string::npos);
    EXPECT_NE(error_of(GgufWriter().tensor("a", 31, {32}, 0).file()).find("unknown type"),
              std::string::npos);
    EXPECT_NE(error_of(GgufWriter().tensor("a", 0, {1, 1, 1, 1, 1}, 0).file()).find("dimensions"),
              std::string::npos);
}

TEST(Gguf, RefusesAnAlignmentThatIsNoPowerOfTwo) {
    EXPECT_NE(error_of(GgufWriter().number("general.alignment", 33).file()).find("alignment"),
              std::string::npos);
    EXPECT_NE(error_of(GgufWriter().number("general.alignment", 0).file()).find("alignment"),
              std::string::npos);
}

TEST(Gguf, SurvivesThousandsOfMutations) {
    // Flips, overwrites and cuts bytes of a valid header: whatever comes, the reader answers with a
    // header, a wish for more, or an error, and the facts reader copes with what it accepts.
    const auto valid = tiny_llama().file();
    const std::size_t header_bytes = tiny_llama().header().size();
    Rng rng(20260730);
    constexpr std::array<std::uint64_t, 6> kNasty{
        0, 1, 0xFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF};
    int accepted = 0;
    for (int round = 0; round < 20'000; ++round) {
        auto bytes = valid;
        const auto changes = 1 + rng.below(4);
        for (std::uint64_t i = 0; i < changes; ++i) {
            const auto at = rng.below(header_bytes - 8);
            if (rng.chance(0.5)) {
                bytes[at] = static_cast<std::byte>(rng.below(256));
            } else {
                const std::uint64_t value = kNasty[rng.below(kNasty.size())];
                std::memcpy(bytes.data() + at, &value, rng.chance(0.5) ? 4 : 8);
            }
        }
        if (rng.chance(0.2)) {
            bytes.resize(rng.below(bytes.size() + 1));
        }
        const std::uint64_t claimed =
            rng.chance(0.5) ? bytes.size() : bytes.size() + rng.below(1000);
        auto result = read_header(bytes, claimed);
        if (!result.ok()) {
            continue;
        }
        if (const auto* incomplete = std::get_if<Incomplete>(&result.value())) {
            ASSERT_GT(incomplete->bytes_needed, bytes.size());
            continue;
        }
        const FilePart part{std::get<Header>(std::move(result).value()), claimed};
        const auto facts = facts_from(std::span(&part, 1));
        accepted += facts.ok() ? 1 : 0;
    }
    EXPECT_GT(accepted, 100);
}

TEST(TensorType, KnowsRowSizesOfBlockTypes) {
    EXPECT_EQ(find_tensor_type("Q4_K")->row_bytes(256), 144U);
    EXPECT_EQ(find_tensor_type("q6_K")->row_bytes(512), 420U);
    EXPECT_EQ(find_tensor_type("f16")->row_bytes(3), 6U);
    EXPECT_EQ(find_tensor_type("q8_0")->row_bytes(31), std::nullopt);
    EXPECT_EQ(find_tensor_type("f32")->row_bytes(std::uint64_t{1} << 63), std::nullopt);
    EXPECT_EQ(find_tensor_type("no_such_type"), nullptr);
    EXPECT_EQ(file_type_name(15), "Q4_K_M");
    EXPECT_EQ(file_type_name(9999), "");
}

}  // namespace
}  // namespace drover::models::gguf

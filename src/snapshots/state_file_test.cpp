#include "snapshots/state_file.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::snapshots {
namespace {

template <typename Number>
void put(std::string& out, Number number) {
    out.append(reinterpret_cast<const char*>(&number), sizeof(number));
}

/// The cache of `cells` positions from `first` on in stream `stream` of two, as the engine writes
/// it.
std::string cache(std::int32_t first, std::uint32_t cells, bool transposed, std::uint32_t layers) {
    constexpr std::uint64_t kRow = 6;
    std::string out;
    put(out, std::uint32_t{2});
    put(out, std::uint32_t{0});  // the other stream is empty
    put(out, cells);
    for (std::uint32_t i = 0; i < cells; ++i) {
        put(out, first + static_cast<std::int32_t>(i));
        put(out, std::uint32_t{1});
        put(out, std::int32_t{1});
    }
    put(out, std::uint32_t{transposed ? 1U : 0U});
    put(out, layers);
    const auto rows = [&] {
        put(out, std::int32_t{1});
        put(out, kRow);
        out.append(cells * kRow, 'k');
    };
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
        rows();
    }
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
        if (!transposed) {
            rows();
            continue;
        }
        put(out, std::int32_t{1});
        put(out, std::uint32_t{2});
        put(out, std::uint32_t{3});
        out.append(std::size_t{3} * 2 * cells, 'v');
    }
    return out;
}

std::string head(const std::vector<std::int32_t>& tokens) {
    std::string out;
    put(out, std::uint32_t{0x67677371});
    put(out, std::uint32_t{3});
    put(out, static_cast<std::uint32_t>(tokens.size() + 4));
    put(out, std::int32_t{-1});
    put(out, std::uint32_t{1});
    put(out, static_cast<std::uint32_t>(tokens.size()));
    for (const std::int32_t token : tokens) {
        put(out, token);
    }
    put(out, std::uint32_t{0});  // no media
    return out;
}

std::string apply(const std::string& file, const std::vector<Edit>& edits) {
    std::string out;
    std::size_t at = 0;
    for (const Edit& edit : edits) {
        EXPECT_GE(edit.at, at);
        out += file.substr(at, edit.at - at) + edit.with;
        at = edit.at + edit.replaces;
    }
    return out + file.substr(at);
}

const std::vector<std::int32_t> kTokens{5, 6, 7, 8};

TEST(StateFile, TellsTheTokens) {
    const std::string file = head(kTokens) + cache(0, 4, false, 2);
    const auto read = read_head(file);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->tokens, kTokens);
    EXPECT_FALSE(read->media);
    EXPECT_EQ(read->size, head(kTokens).size());
    EXPECT_EQ(head_size(file.substr(0, kHeadStart)).value(), read->size);
}

TEST(StateFile, TellsThatMediaStandBetweenTokens) {
    const auto read = read_head(head({5, -1, -1, 8}));
    ASSERT_TRUE(read.ok());
    EXPECT_TRUE(read->media);
}

TEST(StateFile, TheWindowGetsOneEmptyPositionTwoBeforeItsFirst) {
    for (const bool transposed : {false, true}) {
        const std::string plain = cache(0, 30, transposed, 1);
        const std::string file = head(kTokens) + plain + cache(22, 8, transposed, 3);
        const auto edits = admit_window(file);
        ASSERT_TRUE(edits.ok()) << edits.error().message;
        const std::string edited = apply(file, *edits);
        // The engine's own layout with one cell more: where that cell stands is the end of each
        // row.
        std::string expected = cache(22, 9, transposed, 3);
        ASSERT_EQ(edited.size(), head(kTokens).size() + plain.size() + expected.size());
        EXPECT_EQ(edited.substr(0, head(kTokens).size() + plain.size()), head(kTokens) + plain);
        const std::string window = edited.substr(head(kTokens).size() + plain.size());
        std::int32_t position = 0;
        std::memcpy(&position, window.data() + 12 + 8 * 12, sizeof(position));
        EXPECT_EQ(position, 20);
        EXPECT_EQ(std::count(window.begin(), window.end(), 'k'),
                  std::count(file.begin(), file.end(), 'k') -
                      std::count(plain.begin(), plain.end(), 'k'));
        // What was edited can be read again, and is a window like any other.
        EXPECT_TRUE(admit_window(edited).ok());
    }
}

TEST(StateFile, AConversationShorterThanTheWindowIsNotWorthKeeping) {
    const auto edits = admit_window(head(kTokens) + cache(0, 8, false, 1) + cache(0, 8, false, 2));
    ASSERT_FALSE(edits.ok());
    EXPECT_EQ(edits.error().code, ErrorCode::not_found);
}

TEST(StateFile, OtherFormsAreRefused) {
    const std::string base = head(kTokens);
    EXPECT_FALSE(admit_window(base + cache(0, 8, false, 1)).ok());
    EXPECT_FALSE(admit_window(base + cache(0, 8, false, 1) + cache(5, 3, false, 1) + "x").ok());
    EXPECT_FALSE(read_head("").ok());
    EXPECT_FALSE(read_head("GGUF and more of that").ok());
}

TEST(StateFile, DamageIsRefusedOrHarmless) {
    const std::string whole = head(kTokens) + cache(0, 12, false, 2) + cache(6, 6, true, 2);
    Rng rng(1);
    for (int round = 0; round < 20'000; ++round) {
        std::string damaged = whole.substr(0, 1 + rng.below(whole.size()));
        for (std::uint64_t i = rng.below(4); i > 0; --i) {
            damaged[rng.below(damaged.size())] = static_cast<char>(rng.below(256));
        }
        const auto edits = admit_window(damaged);
        if (edits.ok()) {
            std::size_t at = 0;
            for (const Edit& edit : *edits) {
                EXPECT_GE(edit.at, at);
                EXPECT_LE(edit.at + edit.replaces, damaged.size());
                at = edit.at;
            }
        }
    }
}

}  // namespace
}  // namespace drover::snapshots

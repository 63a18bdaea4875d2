#include "store/byte_ranges.hpp"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ByteRanges, JoinsWhatTouchesAndCountsNothingTwice) {
    ByteRanges ranges;
    ranges.add({10, 20});
    ranges.add({30, 40});
    ranges.add({20, 30});
    ranges.add({15, 35});
    ranges.add({50, 50});
    EXPECT_EQ(ranges.covered(), 30U);
    EXPECT_THAT(ranges.missing(45, 100), ElementsAre(ByteRange{0, 10}, ByteRange{40, 45}));
}

TEST(ByteRanges, CutsGapsIntoPieces) {
    ByteRanges ranges;
    ranges.add({4, 5});
    EXPECT_THAT(ranges.missing(10, 3),
                ElementsAre(ByteRange{0, 3}, ByteRange{3, 4}, ByteRange{5, 8}, ByteRange{8, 10}));
    EXPECT_THAT(ranges.missing(0, 3), IsEmpty());
}

TEST(ByteRanges, AgreesWithABitmap) {
    Rng rng(7);
    for (int round = 0; round < 50; ++round) {
        ByteRanges ranges;
        std::vector<bool> bits(200, false);
        for (int i = 0; i < 20; ++i) {
            const std::uint64_t begin = rng.below(200);
            const std::uint64_t end = begin + rng.below(200 - begin + 1);
            ranges.add({begin, end});
            std::fill(bits.begin() + static_cast<std::ptrdiff_t>(begin),
                      bits.begin() + static_cast<std::ptrdiff_t>(end),
                      true);
        }
        std::vector<bool> missing(200, false);
        for (const ByteRange& gap : ranges.missing(200, 17)) {
            EXPECT_LE(gap.size(), 17U);
            for (std::uint64_t at = gap.begin; at < gap.end; ++at) {
                missing[at] = true;
            }
        }
        bits.flip();
        EXPECT_EQ(missing, bits);
    }
}

TEST(ByteRanges, ReadsAJournalThatEndsAnywhere) {
    const std::string journal = journal_line({0, 100}) + journal_line({200, 300});
    for (std::size_t cut = 0; cut <= journal.size(); ++cut) {
        const auto ranges = ByteRanges::from_journal(journal.substr(0, cut), 300);
        EXPECT_EQ(ranges.covered(), cut < 6 ? 0U : cut < journal.size() ? 100U : 200U);
        // A later attempt goes on writing behind the cut line: never more than what is true.
        const auto after = ByteRanges::from_journal(journal.substr(0, cut) + "0 100\n", 300);
        EXPECT_LE(after.covered(), 200U);
        for (const ByteRange& gap : after.missing(300, 300)) {
            EXPECT_LE(gap.begin, 100U);
        }
    }
    EXPECT_EQ(ByteRanges::from_journal("x y\n-1 5\n5 2\n0 999\n 1 2\n1  2\n1 2 3\n", 10).covered(),
              0U);
}

}  // namespace
}  // namespace drover::store

#include "snapshots/token_chain.hpp"

#include <numeric>
#include <vector>

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace drover::snapshots {
namespace {

std::vector<std::int32_t> counting(std::size_t count) {
    std::vector<std::int32_t> tokens(count);
    std::iota(tokens.begin(), tokens.end(), 7);
    return tokens;
}

TEST(TokenChain, FindsWhatTwoConversationsShareInWholeLinks) {
    const std::vector<std::int32_t> tokens = counting(1000);
    const TokenChain whole(tokens);
    for (std::size_t differs = 0; differs < tokens.size(); differs += 13) {
        std::vector<std::int32_t> other = tokens;
        other[differs] = -1;
        EXPECT_EQ(whole.common(TokenChain(other)), differs / kLinkTokens * kLinkTokens);
        EXPECT_EQ(TokenChain(other).common(whole), differs / kLinkTokens * kLinkTokens);
    }
}

TEST(TokenChain, IsTheBeginningOfWhatGoesOn) {
    const std::vector<std::int32_t> tokens = counting(500);
    const std::span<const std::int32_t> all(tokens);
    for (std::size_t size = 0; size <= tokens.size(); ++size) {
        EXPECT_TRUE(TokenChain(all.first(size)).begins(TokenChain(all)));
    }
    EXPECT_FALSE(TokenChain(all).begins(TokenChain(all.first(499))));
    std::vector<std::int32_t> other = tokens;
    other[40] = 0;
    EXPECT_FALSE(TokenChain(all.first(100)).begins(TokenChain(other)));
}

TEST(TokenChain, TheSameTokensElsewhereAreNotTheSame) {
    std::vector<std::int32_t> once(kLinkTokens, 5);
    std::vector<std::int32_t> twice(2 * kLinkTokens, 5);
    twice[0] = 6;
    EXPECT_EQ(TokenChain(once).common(TokenChain(twice)), 0U);
}

}  // namespace
}  // namespace drover::snapshots

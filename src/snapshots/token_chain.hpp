// A conversation as the engine knows it, in a form that is small to keep and quick to compare.
// Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace drover::snapshots {

/// Tokens of one link. Two conversations are compared in steps of this many tokens.
inline constexpr std::size_t kLinkTokens = 32;

/// One hash for every kLinkTokens tokens; each covers everything before it, too. A quarter of a
/// byte for each token, and nothing that could be read back.
class TokenChain {
  public:
    TokenChain() = default;
    explicit TokenChain(std::span<const std::int32_t> tokens);

    /// Of the conversation, whole links or not.
    std::size_t tokens() const { return tokens_; }

    /// Tokens with which both begin, rounded down to whole links.
    std::size_t common(const TokenChain& other) const;

    /// Whether `longer` goes on where this ends, as far as links can tell.
    bool begins(const TokenChain& longer) const;

  private:
    std::vector<std::uint64_t> links_;
    std::size_t tokens_ = 0;
};

}  // namespace drover::snapshots

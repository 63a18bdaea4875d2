#include "snapshots/token_chain.hpp"

#include <algorithm>
#include <string_view>

#include "snapshots/checksum.hpp"

namespace drover::snapshots {

TokenChain::TokenChain(std::span<const std::int32_t> tokens) : tokens_(tokens.size()) {
    links_.reserve(tokens.size() / kLinkTokens);
    std::uint64_t before = 0;
    while (tokens.size() >= kLinkTokens) {
        const auto link = std::as_bytes(tokens.first(kLinkTokens));
        const std::string_view bytes(reinterpret_cast<const char*>(link.data()), link.size());
        before = checksum(bytes, before);
        links_.push_back(before);
        tokens = tokens.subspan(kLinkTokens);
    }
}

std::size_t TokenChain::common(const TokenChain& other) const {
    const auto [mine, theirs] =
        std::mismatch(links_.begin(), links_.end(), other.links_.begin(), other.links_.end());
    return static_cast<std::size_t>(mine - links_.begin()) * kLinkTokens;
}

bool TokenChain::begins(const TokenChain& longer) const {
    return tokens_ <= longer.tokens_ && common(longer) == links_.size() * kLinkTokens;
}

}  // namespace drover::snapshots

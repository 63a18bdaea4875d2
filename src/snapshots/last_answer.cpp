#include "snapshots/last_answer.hpp"

#include <algorithm>

namespace drover::snapshots {

namespace {

/// llama-server v0.5.0 keeps a state four tokens before the end of a prompt, because templates
/// may render what follows differently once the answer is there; it needs one token to go on from
/// it.
constexpr std::size_t kBack = 3;

}  // namespace

std::optional<std::size_t> before_last_answer(std::span<const std::int32_t> tokens,
                                              std::span<const std::int32_t> opening) {
    const auto found = std::find_end(tokens.begin(), tokens.end(), opening.begin(), opening.end());
    if (opening.empty() || found == tokens.end()) {
        return std::nullopt;
    }
    const auto prompt = static_cast<std::size_t>(found - tokens.begin()) + opening.size();
    return prompt > kBack ? std::optional(prompt - kBack) : std::nullopt;
}

}  // namespace drover::snapshots

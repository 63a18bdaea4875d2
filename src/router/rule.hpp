// What is certain of a request before anybody guesses. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/pattern.hpp"
#include "router/facts.hpp"

namespace drover::router {

/// A model's place in Policy::targets.
using Target = std::uint32_t;

/// Holds for a request that meets every condition that is set.
struct PolicyRule {
    std::vector<std::string> endpoints{};  ///< kinds or paths, one of which it came to; see facts
    std::optional<bool> tools{};
    std::optional<bool> images{};
    std::optional<std::uint32_t> longer_than{};
    std::optional<std::uint32_t> shorter_than{};
    std::string contains{};                ///< in lower case
    std::optional<Pattern> matches{};      ///< a part of the text
    std::vector<std::string> languages{};  ///< codes, one of which it is written in
    /// Names in lower case; the whole value matches.
    std::vector<std::pair<std::string, Pattern>> headers{};
    std::vector<Target> use{};
    std::string text{};  ///< as somebody wrote it
};

/// Time is linear in the request's text, whatever the rule and the text are.
bool meets(const RequestFacts& facts, const PolicyRule& rule);

}  // namespace drover::router

// The shape of a multiple-choice question: how hard it is shows in its answers more than in its
// words. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace drover::router {

inline constexpr std::size_t kChoiceMeasures = 7;

/// Measures in a few steps each: choices with a number and of numbers alone, bytes in all and of
/// the longest, how much longer that is than the shortest, words, and the share of them that
/// differ.
using ChoiceShape = std::array<std::uint32_t, kChoiceMeasures>;

/// The shape of the choices in `text`: lines that begin with "A. ", "B. " and so on, or "A) ".
/// Nothing where there are not two. Time is linear in the text.
std::optional<ChoiceShape> choice_shape(std::string_view text);

}  // namespace drover::router

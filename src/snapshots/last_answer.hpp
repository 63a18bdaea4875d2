// Where the last answer of a conversation begins. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace drover::snapshots {

/// How many of `tokens` stand before the last answer and can be gone back to: `opening` is what a
/// chat template puts before every answer, and the engine keeps a state of layers that forget a few
/// tokens before its end. Nullopt: there is no answer.
std::optional<std::size_t> before_last_answer(std::span<const std::int32_t> tokens,
                                              std::span<const std::int32_t> opening);

}  // namespace drover::snapshots

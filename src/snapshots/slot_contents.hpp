// What the slots of an engine hold. The engine does not tell it, but it tells how many tokens each
// slot has and numbers its tasks, and all prompts have passed by: that is enough, as a rule. Pure;
// any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <vector>

#include "snapshots/token_chain.hpp"

namespace drover::snapshots {

/// A slot as the engine shows it.
struct SlotLook {
    std::uint32_t id = 0;
    std::optional<std::uint64_t> task{};  ///< the last that it had; later ones have higher numbers
    std::size_t tokens = 0;               ///< of its prompt and its answer
    bool busy = false;
};

class SlotContents {
  public:
    /// A snapshot was put into a slot whose last task was `task`.
    void put(std::uint32_t slot, std::optional<std::uint64_t> task, TokenChain chain);

    /// A request with these tokens is on its way to some slot.
    void expect(TokenChain chain);

    /// Finds out which of the requests that were on their way each slot has served.
    void look(std::vector<SlotLook> slots);

    /// The most tokens with which `conversation` and what a slot holds, or will hold, begin.
    std::size_t common(const TokenChain& conversation) const;

    /// Whether what was put into the slot is there as it was put.
    bool is_untouched(std::uint32_t slot, const std::optional<std::uint64_t>& task) const;

  private:
    struct Content {
        std::optional<std::uint64_t> task{};
        std::optional<TokenChain> chain{};  ///< nullopt: nobody knows
        bool put = false;
    };

    std::optional<TokenChain> take_expected(std::size_t tokens);

    std::map<std::uint32_t, Content> slots_;
    std::deque<TokenChain> expected_;  ///< the oldest first
};

}  // namespace drover::snapshots

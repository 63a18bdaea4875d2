#include "snapshots/slot_contents.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace drover::snapshots {

namespace {

/// Requests that never reached the engine are forgotten when there are more.
constexpr std::size_t kExpectedMax = 16;

/// Some engines have a token less in the slot than they had in the prompt.
constexpr std::size_t kLengthTolerance = 2;

}  // namespace

void SlotContents::put(std::uint32_t slot, std::optional<std::uint64_t> task, TokenChain chain) {
    slots_.insert_or_assign(slot, Content{.task = task, .chain = std::move(chain), .put = true});
}

void SlotContents::expect(TokenChain chain) {
    if (expected_.size() == kExpectedMax) {
        expected_.pop_front();
    }
    expected_.push_back(std::move(chain));
}

void SlotContents::look(std::vector<SlotLook> slots) {
    // What came last is the one whose request is known best: those before it may be gone.
    std::sort(slots.begin(), slots.end(), [](const SlotLook& a, const SlotLook& b) {
        return a.task > b.task;
    });
    for (const SlotLook& slot : slots) {
        Content& content = slots_[slot.id];
        if (slot.busy || content.task == slot.task) {
            continue;  // it is told what it holds when it rests
        }
        content = {.task = slot.task, .chain = take_expected(slot.tokens)};
    }
    if (std::none_of(slots.begin(), slots.end(), [](const SlotLook& slot) { return slot.busy; })) {
        expected_.clear();  // others have taken the places of these
    }
}

std::size_t SlotContents::common(const TokenChain& conversation) const {
    std::size_t most = 0;
    for (const auto& [slot, content] : slots_) {
        most = std::max(most, content.chain.has_value() ? content.chain->common(conversation) : 0);
    }
    for (const TokenChain& chain : expected_) {
        most = std::max(most, chain.common(conversation));
    }
    return most;
}

bool SlotContents::is_untouched(std::uint32_t slot,
                                const std::optional<std::uint64_t>& task) const {
    const auto content = slots_.find(slot);
    return content != slots_.end() && content->second.put && content->second.task == task;
}

std::optional<TokenChain> SlotContents::take_expected(std::size_t tokens) {
    const auto latest =
        std::find_if(expected_.rbegin(), expected_.rend(), [tokens](const TokenChain& chain) {
            return chain.tokens() <= tokens + kLengthTolerance;
        });
    if (latest == expected_.rend()) {
        return std::nullopt;
    }
    TokenChain chain = std::move(*latest);
    expected_.erase(std::next(latest).base());
    return chain;
}

}  // namespace drover::snapshots

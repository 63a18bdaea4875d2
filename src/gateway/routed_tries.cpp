#include "gateway/routed_tries.hpp"

#include <algorithm>
#include <utility>

#include "platform/clock.hpp"

namespace drover::gateway {

namespace {

/// Tokens that one request to the model may use; 0: nobody knows.
std::uint64_t context_of(const control::Fleet& fleet, ModelId id) {
    const control::ModelView* model = fleet.look(id);
    return model == nullptr ? 0 : model->context;
}

}  // namespace

bool RoutedTries::next() {
    while (next_ < choice_.models.size()) {
        place_ = next_++;
        // One with as long a context may have another tokenizer, one of which nobody knows any.
        const std::uint64_t context = context_of(fleet_, model());
        if (context == 0 || context >= too_long_for_) {
            begin(router::is_checked(route_.policy, facts_, choice_.decision, place_));
            return true;
        }
        reason_ += "; " + name() + " takes no longer requests";
    }
    if (again_.empty()) {
        return false;
    }
    place_ = again_.front();
    again_.pop_front();
    reason_ += "; " + name() + " answers after all";
    begin(false);
    return true;
}

void RoutedTries::begin(bool checked) {
    watched_.reset();
    if (checked) {
        watched_.emplace(dialect::WatchedAnswer::Terms{.demands = route_.policy.cascade->demands,
                                                       .strip = !facts_.logprobs,
                                                       .json = facts_.json,
                                                       .tools = facts_.tool_names,
                                                       .reason = reason_ + "; " + name() + "'s",
                                                       .asked = platform::now()});
    }
}

std::optional<std::chrono::milliseconds> RoutedTries::verdict_within() const {
    return watched_.has_value() ? std::optional(route_.cascade_wait) : std::nullopt;
}

void RoutedTries::failed(ErrorCode code) {
    reason_ += "; " + name() + " failed: " + std::string(to_string(code));
    if (watched_.has_value() && code == ErrorCode::timeout) {
        again_.push_back(place_);  // slow, but better than nothing
    }
}

void RoutedTries::refused(unsigned status, bool too_long) {
    // What one engine refuses another may take: a longer context, another template.
    if (too_long) {
        too_long_for_ = std::max(too_long_for_, context_of(fleet_, model()));
        reason_ += "; " + name() + " cannot take so long a request";
    } else {
        reason_ += "; " + name() + " refused: " + std::to_string(status);
    }
}

void RoutedTries::note_check(std::chrono::milliseconds took) {
    checks_.push_back({name(), watched_->opinion(), watched_->tokens(), took});
    reason_ += "; " + name() + "'s " + watched_->opinion().reason + " (" +
               std::to_string(watched_->tokens()) + " tokens, " + std::to_string(took.count()) +
               " ms)";
}

void RoutedTries::was_weak(std::chrono::milliseconds took) {
    note_check(took);
    again_.push_back(place_);
}

void RoutedTries::served(std::chrono::milliseconds took) {
    if (watched_.has_value()) {
        note_check(took);
    }
}

}  // namespace drover::gateway

// The half of the snapshot keeper that is at work while an instance serves: what was restored, was
// it of use, and is there more that a request needs?
#include <algorithm>
#include <utility>

#include "control/durations.hpp"
#include "control/snapshot_keeper.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;
using engines::EngineClient;
using engines::PromptCounters;
using engines::Slot;
using platform::now;
using platform::Task;

namespace {

/// A request with fewer bytes has not that many tokens.
constexpr std::size_t kBodyWorthRecalling = 256;

/// Computed tokens after which the measured speed replaces the guess.
constexpr double kTokensForSpeed = 64;

/// After so many conversations in a row that were restored and yet computed again, a model that
/// never had any use of snapshots gets none any more.
constexpr std::uint32_t kMissesMax = 4;

constexpr std::chrono::milliseconds kReviewLimit(500);

constexpr std::chrono::milliseconds kRecallLimit(2'000);

}  // namespace

bool SnapshotKeeper::may_recall(InstanceId instance) const {
    const auto seat = seats_.find(instance);
    if (seat == seats_.end()) {
        return false;
    }
    const Model& model = models_.at(seat->second.model);
    return !model.off && index_.count(*model.identity) > seat->second.restored.size();
}

Task<> SnapshotKeeper::recall(std::shared_ptr<Instance> instance,
                              std::string_view path,
                              std::string_view body) {
    if (body.size() < kBodyWorthRecalling) {
        co_return;
    }
    // One at a time, or two would take the same slot.
    while (recalling_.contains(instance->id)) {
        co_await changed_.wait();
    }
    const Recalling turn(*this, instance->id);
    std::string own_path(path);
    std::string own_body(body);
    co_await recall_from_index(instance, std::move(own_path), std::move(own_body));
}

Task<> SnapshotKeeper::recall_from_index(std::shared_ptr<Instance> instance,
                                         std::string path,
                                         std::string body) {
    const TimePoint begun = now();
    const TimePoint deadline = begun + kRecallLimit;
    EngineClient client(loop_, instance->upstream.endpoint());
    const auto tokens = co_await client.prompt_tokens(std::move(path), std::move(body), deadline);
    if (!tokens.ok() || !may_recall(instance->id)) {
        co_return;
    }
    const snapshots::TokenChain conversation(*tokens);
    const auto best =
        index_.best_match(*models_.at(instance->model).identity, conversation, kTokensWorthKeeping);
    const auto& restored = seats_.at(instance->id).restored;
    if (!best.has_value() || std::any_of(restored.begin(), restored.end(), [&](const auto& one) {
            return one.second.id == *best;
        })) {
        co_return;
    }
    auto slots = co_await client.slots(deadline);
    if (!slots.ok()) {
        co_return;
    }
    // An idle one, with as little in it as possible. What only was restored there is on disk; what
    // was used since is saved first.
    std::erase_if(*slots, [](const Slot& slot) { return slot.busy; });
    const auto least =
        std::min_element(slots->begin(), slots->end(), [](const Slot& a, const Slot& b) {
            return std::pair(a.used, a.tokens) < std::pair(b.used, b.tokens);
        });
    if (least == slots->end()) {
        co_return;
    }
    const Slot slot = *least;
    std::vector<Slot> leaving{slot};
    co_await save_slots(instance, std::move(leaving), deadline);
    const bool done = co_await put(instance, *best, slot.id, slot.used, deadline);
    if (done) {
        log::info("snapshot.recalled",
                  {{"model", models_.at(instance->model).name},
                   {"tokens", conversation.tokens()},
                   {"ms", milliseconds_of(now() - begun)}});
    }
}

Task<> SnapshotKeeper::review(std::shared_ptr<Instance> instance) {
    const auto pending = [this, &instance] {
        const auto seat = seats_.find(instance->id);
        return seat != seats_.end() &&
               std::any_of(seat->second.restored.begin(),
                           seat->second.restored.end(),
                           [](const auto& one) { return !one.second.reviewed; });
    };
    if (!pending()) {
        co_return;
    }
    const TimePoint deadline = now() + kReviewLimit;
    EngineClient client(loop_, instance->upstream.endpoint());
    const auto slots = co_await client.slots(deadline);
    const auto counters = co_await client.prompt_counters(deadline);
    if (!slots.ok() || !counters.ok() || !pending()) {
        co_return;
    }
    Model& model = models_.at(instance->model);
    learn_speed(model, *counters);
    review_slots(model, seats_.at(instance->id), *slots, counters->cached);
}

void SnapshotKeeper::review_slots(Model& model,
                                  Seat& seat,
                                  const std::vector<Slot>& slots,
                                  double cached_total) {
    // The engine counts for all slots together, so what they did is told apart only when they rest.
    const auto restored = [&seat](const Slot& slot) {
        const auto found = seat.restored.find(slot.id);
        return found == seat.restored.end() || found->second.reviewed || !slot.used
                   ? nullptr
                   : &found->second;
    };
    if (std::any_of(slots.begin(), slots.end(), [&](const Slot& slot) {
            return slot.busy && restored(slot) != nullptr;
        })) {
        return;
    }
    double cached = cached_total - std::exchange(seat.cached_seen, cached_total);
    for (const Slot& slot : slots) {
        Restored* const one = restored(slot);
        if (one == nullptr) {
            continue;
        }
        const double mine = std::min(cached, static_cast<double>(one->tokens));
        if (one->over_another && mine < 1) {
            continue;  // what used the slot may have been there before
        }
        one->reviewed = true;
        cached -= mine;
        if (!note_use(model, *one, mine)) {
            seat.restored.erase(slot.id);  // another conversation has the slot now
        }
    }
}

void SnapshotKeeper::learn_speed(Model& model, const PromptCounters& counters) {
    if (counters.computed >= kTokensForSpeed) {
        model.prefill_per_token = std::chrono::duration_cast<Duration>(
            std::chrono::duration<double>(counters.seconds / counters.computed));
    }
}

bool SnapshotKeeper::note_use(Model& model, const Restored& restored, double cached) {
    // A shared beginning of a few tokens is no conversation that went on.
    if (cached >= kTokensWorthKeeping / 2.0) {
        const auto tokens = static_cast<std::int64_t>(cached);
        const std::int64_t saved_ms = milliseconds_of(model.prefill_per_token * tokens);
        ++totals_.hits;
        totals_.tokens_saved += static_cast<std::uint64_t>(tokens);
        totals_.saved_ms += saved_ms;
        model.misses = 0;
        model.proven = true;
        log::info("snapshot.hit",
                  {{"model", model.name},
                   {"tokens", tokens},
                   {"of", restored.tokens},
                   {"saved_ms", saved_ms}});
        return true;
    }
    ++totals_.misses;
    // Perhaps the answer came back as another text than the one that the model said: without its
    // reasoning, or trimmed. What is before it is the same in any case.
    model.before_answer = model.before_answer || (model.traits.forgets && !model.proven);
    if (!model.proven && ++model.misses >= kMissesMax) {
        model.off = true;
        log::warn("snapshots.useless",
                  {{"model", model.name},
                   {"cause", "the engine computed every restored conversation again"}});
    }
    return false;
}

}  // namespace drover::control

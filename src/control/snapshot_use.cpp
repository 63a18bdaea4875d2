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

/// After so many conversations in a row that were restored, went on, and yet were computed again, a
/// model that never had any use of snapshots gets none any more.
constexpr std::uint32_t kMissesMax = 4;

constexpr std::chrono::milliseconds kReviewLimit(500);

constexpr std::chrono::milliseconds kRecallLimit(2'000);

std::vector<snapshots::SlotLook> looks_of(const std::vector<Slot>& slots) {
    std::vector<snapshots::SlotLook> looks;
    for (const Slot& slot : slots) {
        looks.push_back(
            {.id = slot.id, .task = slot.task, .tokens = slot.tokens, .busy = slot.busy});
    }
    return looks;
}

}  // namespace

bool SnapshotKeeper::may_recall(InstanceId instance) const {
    const auto seat = seats_.find(instance);
    if (seat == seats_.end()) {
        return false;
    }
    const Model& model = models_.at(seat->second.model);
    return !model.off && index_.has(*model.origin);
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
    auto slots = co_await client.slots(deadline);
    if (!slots.ok() || !may_recall(instance->id)) {
        co_return;
    }
    Model& model = models_.at(instance->model);
    Seat& seat = seats_.at(instance->id);
    const auto best = index_.best_match(*model.origin, conversation, kTokensWorthKeeping);
    const std::size_t kept = best.has_value() ? index_.find(*best)->chain.common(conversation) : 0;
    if (best.has_value()) {
        note_asked(seat, *best, kept, *slots);
    }
    seat.contents.look(looks_of(*slots));
    if (seat.contents.common(conversation) < kept) {
        const bool done = co_await bring(instance, *best, std::move(*slots), deadline);
        if (done) {
            log::info(
                "snapshot.recalled",
                {{"model", model.name}, {"tokens", kept}, {"ms", milliseconds_of(now() - begun)}});
        }
    }
    if (const auto still = seats_.find(instance->id); still != seats_.end()) {
        still->second.contents.expect(conversation);
    }
}

/// A request goes on with `kept` tokens of a snapshot: what was put into a slot and is untouched
/// will show whether it is of use, unless the request only begins alike.
void SnapshotKeeper::note_asked(Seat& seat,
                                snapshots::SnapshotId id,
                                std::size_t kept,
                                const std::vector<Slot>& slots) const {
    for (const Slot& slot : slots) {
        const auto there = seat.restored.find(slot.id);
        if (there != seat.restored.end() && there->second.id == id &&
            seat.contents.is_untouched(slot.id, slot.task)) {
            there->second.asked_for = kept * 2 >= index_.find(id)->chain.tokens();
        }
    }
}

Task<bool> SnapshotKeeper::bring(std::shared_ptr<Instance> instance,
                                 snapshots::SnapshotId id,
                                 std::vector<Slot> slots,
                                 TimePoint deadline) {
    std::erase_if(slots, [](const Slot& slot) { return slot.busy; });
    const auto least =
        std::min_element(slots.begin(), slots.end(), [](const Slot& a, const Slot& b) {
            return std::pair(a.used(), a.tokens) < std::pair(b.used(), b.tokens);
        });
    if (least == slots.end()) {
        co_return false;
    }
    // What only was restored there is on disk; what was used since is saved first.
    const Slot slot = *least;
    std::vector<Slot> leaving{slot};
    co_await save_slots(instance, std::move(leaving), deadline);
    const bool done = co_await put(instance, id, slot, deadline);
    if (const auto seat = seats_.find(instance->id); done && seat != seats_.end()) {
        seat->second.restored.at(slot.id).asked_for = true;
    }
    co_return done;
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
    review_slots(models_.at(instance->model), seats_.at(instance->id), *slots, counters->cached);
}

void SnapshotKeeper::review_slots(Model& model,
                                  Seat& seat,
                                  const std::vector<Slot>& slots,
                                  double cached_total) {
    const auto used = [&seat](const Slot& slot) {
        const auto found = seat.restored.find(slot.id);
        return found == seat.restored.end() || found->second.reviewed ||
                       seat.contents.is_untouched(slot.id, slot.task)
                   ? nullptr
                   : &found->second;
    };
    // The engine counts for all slots together, so what they did is told apart only when they rest.
    if (std::any_of(slots.begin(), slots.end(), [&](const Slot& slot) {
            return slot.busy && used(slot) != nullptr;
        })) {
        return;
    }
    double cached = cached_total - std::exchange(seat.cached_seen, cached_total);
    for (const Slot& slot : slots) {
        Restored* const one = used(slot);
        if (one == nullptr) {
            continue;
        }
        one->reviewed = true;
        const double mine = std::clamp(cached, 0.0, static_cast<double>(one->tokens));
        cached -= mine;
        if (!note_use(model, *one, static_cast<std::uint64_t>(mine))) {
            seat.restored.erase(slot.id);  // another conversation has the slot now
        }
    }
}

void SnapshotKeeper::note_speed(ModelId model, Duration prefill_per_token) {
    if (Model* const known = model_of(model)) {
        known->prefill_per_token = prefill_per_token;
    }
}

bool SnapshotKeeper::note_use(Model& model, const Restored& restored, std::uint64_t cached) {
    // A shared beginning of a few tokens is no conversation that went on.
    if (cached >= kTokensWorthKeeping / 2) {
        const std::int64_t saved_ms = milliseconds_of(model.prefill_per_token * cached);
        ++totals_.hits;
        totals_.tokens_saved += cached;
        totals_.saved_ms += saved_ms;
        model.misses = 0;
        model.proven = true;
        log::info("snapshot.hit",
                  {{"model", model.name},
                   {"tokens", cached},
                   {"of", restored.tokens},
                   {"saved_ms", saved_ms}});
        return true;
    }
    ++totals_.misses;
    if (!restored.asked_for) {
        return false;  // somebody began another conversation, which says nothing
    }
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

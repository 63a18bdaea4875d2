// The planning half of the scheduler: which waiting model loads, and who leaves for it.
#include <algorithm>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {

namespace {

/// Models that cannot start yet that one pass looks at: for instances that must retire for them,
/// and beyond them for models that are small enough to overtake. Bounds the cost of an event
/// however many models wait.
constexpr std::size_t kLookAhead = 32;

}  // namespace

void Scheduler::plan() {
    line_.age(now_);
    idle_.age(now_);
    shrink();
    Pass pass{.ceiling = ceiling()};
    line_.visit(
        [&](const WaitingLine::Place& place, bool owed) { return consider(place, owed, pass); });
    put_back(pass);
    if (!pass.needs_retiring) {
        return_to_service(StopReason::evicted);
    }
    if (ceiling_fell_) {
        ceiling_fell_ = false;
        refuse_what_never_fits();
    }
}

// One model without an instance that somebody waits for, in the order of WaitingLine:
//  1. It can never fit: its requests are refused.
//  2. It fits into what is free, and leaves models ahead what they claim: it starts, or wakes up.
//  3. What is leaving already suffices: it claims that and waits.
//  4. Idle instances that are ripe suffice (any idle ones when it is owed memory): they leave, the
//     least valuable first; then as 3. Those that can sleep keep a part of their memory and come
//     back sooner, as far as that part is not needed.
//  5. A load that nobody waits for is given up: it pushes nobody out.
//  6. Not owed yet: it is blocked, and models behind it may overtake.
//  7. Owed: it claims its memory, so that nobody overtakes, and as many busy instances as it takes
//     retire. Idle ones stay in use until all of it can be freed (step 4).
bool Scheduler::consider(const WaitingLine::Place& place, bool owed, Pass& pass) {
    Model& model = models_.at(place.model);
    if (refuse_if_never_fits(place.model, model, pass.ceiling)) {
        return true;
    }
    set_aside(model, pass);
    const Footprint needed = still_needed(model);
    if (needed.overlaps(pass.exhausted)) {
        return ++pass.blocked < kLookAhead;
    }
    const Footprint free = ledger_.available() + leaving_ - pass.claimed;
    if (needed.fits(ledger_.available()) && needed.fits(free + pass.promised)) {
        if (model.asleep) {
            wake(place.model, model);
        } else {
            start(place.model, model);
        }
        return true;
    }
    const Footprint missing = needed.lacks(free);
    if (missing.empty()) {
        pass.claimed += needed;
        return true;
    }
    if (model.queue.empty()) {
        model.wanted = false;
        update_place(place.model, model);
        return true;
    }
    const std::vector<InstanceId> victims = idle_.choose(missing, scale(), owed);
    if (!victims.empty()) {
        evict(victims, missing);
        pass.claimed += needed;
        return true;
    }
    if (owed) {
        pass.claimed += needed;
        pass.needs_retiring = true;
        // `missing` counts what models ahead claim beyond what is free now, so it is compared with
        // everything that leaves later.
        const Footprint short_of = missing.lacks(idle_.total() + retiring_held_);
        if (!short_of.empty() &&
            !retire_busy(short_of, {StopReason::evicted, model.queue.front().ticket}, false)) {
            pass.exhausted += needed;  // only the end of a load can help
        }
        pass.promised = idle_.total() + retiring_held_;
    }
    return ++pass.blocked < kLookAhead;
}

/// The instance that sleeps for the model is no victim of those behind it in the line.
void Scheduler::set_aside(const Model& model, Pass& pass) {
    if (!model.asleep || !idle_.contains(model.asleep)) {
        return;
    }
    leave_idle(model.asleep, instances_.at(model.asleep));
    pass.set_aside.push_back(model.asleep);
    if (!pass.promised.empty()) {
        pass.promised -= ledger_.holding(model.asleep);
    }
}

void Scheduler::put_back(const Pass& pass) {
    for (const InstanceId id : pass.set_aside) {
        if (const auto found = instances_.find(id);
            found != instances_.end() && found->second.state == InstanceState::asleep) {
            place_idle(id, found->second);
        }
    }
}

/// Beyond what an instance that sleeps holds already.
Footprint Scheduler::still_needed(const Model& model) const {
    return model.asleep ? model.needed.lacks(ledger_.holding(model.asleep)) : model.needed;
}

/// Frees `missing`. What the victims hold beyond that is left to those that can sleep, the most
/// valuable first. REQUIRES: together they hold that much.
void Scheduler::evict(const std::vector<InstanceId>& victims, const Footprint& missing) {
    Footprint spare = Footprint() - missing;
    for (const InstanceId victim : victims) {
        spare += ledger_.holding(victim);
    }
    std::set<InstanceId> sleepers;
    for (auto victim = victims.rbegin(); victim != victims.rend(); ++victim) {
        const Instance& instance = instances_.at(*victim);
        const std::optional<Footprint>& kept = models_.at(instance.model).kept_asleep;
        if (instance.state == InstanceState::ready && kept.has_value() && kept->fits(spare) &&
            kept->fits(ledger_.holding(*victim))) {
            spare -= *kept;
            sleepers.insert(*victim);
        }
    }
    for (const InstanceId victim : victims) {
        if (sleepers.contains(victim)) {
            fall_asleep(victim);
        } else {
            stop(victim, StopReason::evicted);
        }
    }
}

/// Asks the least valuable busy instances to leave so that `missing` is freed. When all of them do
/// not suffice, those that help are asked only if `anyway`. True when one was asked.
bool Scheduler::retire_busy(const Footprint& missing, const Retirement& retirement, bool anyway) {
    std::vector<Candidate> busy;
    for (const auto& [id, instance] : instances_) {
        if (instance.state == InstanceState::ready && instance.leases > 0 &&
            !instance.retiring.has_value() && !pinned_.contains(id)) {
            busy.push_back({leaving_rank(id, instance), ledger_.holding(id)});
        }
    }
    std::sort(busy.begin(), busy.end(), [](const Candidate& a, const Candidate& b) {
        return a.rank < b.rank;
    });
    VictimChoice choice(missing, scale());
    for (const Candidate& candidate : busy) {
        choice.offer(candidate.rank, candidate.held);
    }
    const std::vector<InstanceId> leaving =
        choice.enough() || anyway ? choice.take() : std::vector<InstanceId>();
    for (const InstanceId id : leaving) {
        set_retiring(id, instances_.at(id), retirement);
    }
    return !leaving.empty();
}

/// Those who were asked to leave for `reason` are no longer in anybody's way.
void Scheduler::return_to_service(StopReason reason) {
    for (auto next = retiring_.begin(); next != retiring_.end();) {
        const InstanceId id = *next++;
        Instance& instance = instances_.at(id);
        if (instance.retiring->reason != reason) {
            continue;
        }
        set_retiring(id, instance, std::nullopt);
        if (instance.idle_since.has_value()) {
            place_idle(id, instance);
        }
        serve(models_.at(instance.model));
    }
}

// After the budget shrank or an instance grew, what is held must come back under it:
//  1. Idle instances leave, the least valuable first, even when all of them are not enough.
//  2. Loads are broken off, the last first: they serve nobody yet, and their requests go on
//  waiting.
//  3. Busy instances retire, and serve nobody else.
// Pinned ones stay: whoever pins decides.
void Scheduler::shrink() {
    if (overdrawn().empty()) {
        return_to_service(StopReason::shrunk);
        return;
    }
    for (const InstanceId victim : idle_.choose_what_helps(overdrawn(), scale())) {
        stop(victim, StopReason::shrunk);
    }
    for (auto one = instances_.rbegin(); one != instances_.rend(); ++one) {
        if (one->second.state == InstanceState::loading && !pinned_.contains(one->first) &&
            ledger_.holding(one->first).overlaps(overdrawn())) {
            stop(one->first, StopReason::shrunk);
        }
    }
    const Footprint over = overdrawn().lacks(retiring_held_);
    if (!over.empty()) {
        retire_busy(over, {StopReason::shrunk}, true);
    }
}

/// What is held beyond the budget and not leaving yet.
Footprint Scheduler::overdrawn() const {
    return (ledger_.held() - leaving_).lacks(ledger_.budget());
}

/// The most that a model without an instance could ever get: nobody takes what is pinned.
Footprint Scheduler::ceiling() const {
    Footprint ceiling = ledger_.budget();
    for (const InstanceId id : pinned_) {
        ceiling -= ledger_.holding(id);
    }
    return ceiling;
}

void Scheduler::refuse_what_never_fits() {
    const Footprint most = ceiling();
    line_.visit([&](const WaitingLine::Place& place, bool) {
        refuse_if_never_fits(place.model, models_.at(place.model), most);
        return true;
    });
}

bool Scheduler::refuse_if_never_fits(ModelId id, Model& model, const Footprint& most) {
    if (model.needed.fits(most)) {
        return false;
    }
    model.wanted = false;
    refuse_waiting(model,
                   {.request = {},
                    .reason = RefuseReason::never_fits,
                    .needed = model.needed,
                    .available = most});
    update_place(id, model);
    replan_ = true;  // what it claimed is free again
    return true;
}

LeavingRank Scheduler::leaving_rank(InstanceId id, const Instance& instance) const {
    const Model& model = models_.at(instance.model);
    return {.stays = !instance.retiring.has_value(),
            .priority = model.traits.priority,
            .value = keep_value(
                policies_.current(), model.usage, loss_of(model, instance), ledger_.holding(id)),
            .last_used = model.last_used,
            .instance = id};
}

/// Expected time until the model serves again once it was evicted.
Duration Scheduler::return_time(const Model& model) {
    return model.kept_asleep.has_value() ? model.wake_time.value_or(model.load_time)
                                         : model.load_time;
}

/// Time that is lost at the next request when the instance leaves now.
Duration Scheduler::loss_of(const Model& model, const Instance& instance) {
    return instance.state == InstanceState::asleep
               ? std::max(model.load_time - return_time(model), Duration())
               : return_time(model);
}

}  // namespace drover::memory

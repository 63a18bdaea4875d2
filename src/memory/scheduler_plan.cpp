// The planning half of the scheduler: which waiting model loads, and who leaves for it.
#include <algorithm>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {

namespace {

/// What `needed` lacks of `there`, device by device; zero where there is enough.
Footprint shortfall(const Footprint& needed, const Footprint& there) {
    Footprint missing;
    for (std::size_t device = 0; device < kDevicesMax; ++device) {
        missing[device] = std::max(needed[device] - there[device], Bytes(0));
    }
    return missing;
}

bool nothing(const Footprint& footprint) {
    return footprint == Footprint();
}

}  // namespace

// Every model without an instance that somebody waits for, the most important first, then the one
// whose oldest request has waited longest:
//  1. It can never fit: its requests are refused.
//  2. It fits into what is free: it starts.
//  3. What is leaving already suffices: it waits, and nobody younger may take that memory.
//  4. Idle instances that are old enough suffice: they leave, the least valuable first; as 3.
//  5. Otherwise it is blocked by busy or young instances. Younger models may overtake, until it has
//     waited max_wait: then youth protects nobody, busy instances retire, and nobody overtakes.
void Scheduler::plan() {
    next_check_ = TimePoint::max();
    shrink();
    unretire();
    Footprint claimed;
    const std::vector<HungerKey> order(hungry_.begin(), hungry_.end());
    for (const HungerKey& hunger : order) {
        Model& model = models_.at(hunger.model);
        const Footprint& needed = model.traits.footprint;
        const Footprint most = shortfall(ledger_.budget(), pinned_elsewhere(hunger.model));
        if (!needed.fits(most)) {
            model.wanted = false;
            refuse_waiting(model,
                           {.request = {},
                            .reason = RefuseReason::never_fits,
                            .needed = needed,
                            .available = most});
            update_hunger(hunger.model, model);
            continue;
        }
        switch (make_room(hunger, claimed)) {
            case Room::made:
                start(hunger.model, model);
                break;
            case Room::coming:
                claimed += needed;
                break;
            case Room::blocked:
                break;
            case Room::owed:
                return;
        }
    }
}

Scheduler::Room Scheduler::make_room(const HungerKey& hunger, const Footprint& claimed) {
    Model& model = models_.at(hunger.model);
    const Footprint& needed = model.traits.footprint;
    const Footprint soon = ledger_.available() + leaving_ - claimed;
    if (needed.fits(ledger_.available()) && needed.fits(soon)) {
        return Room::made;
    }
    const Footprint missing = shortfall(needed, soon);
    if (nothing(missing)) {
        return Room::coming;
    }
    if (model.queue.empty()) {
        // A mere LoadRequested pushes nobody out and does not wait.
        model.wanted = false;
        update_hunger(hunger.model, model);
        return Room::blocked;
    }
    const TimePoint owed_at = hunger.since + options_.max_wait;
    const bool owed = now_ >= owed_at;
    if (evict_idle(missing, owed)) {
        return Room::coming;
    }
    if (!owed) {
        next_check_ = std::min(next_check_, owed_at);
        return Room::blocked;
    }
    retire(missing, StopReason::evicted);
    return Room::owed;
}

/// Stops the least valuable idle instances that free `missing`; false, and nothing stops, when they
/// do not suffice.
bool Scheduler::evict_idle(const Footprint& missing, bool even_young) {
    std::vector<Candidate> candidates;
    for (const auto& [id, instance] : instances_) {
        if (instance.state != InstanceState::ready || instance.leases > 0 ||
            models_.at(instance.model).traits.pinned) {
            continue;
        }
        const TimePoint grown_up = instance.ready_since + options_.min_residency;
        if (!even_young && now_ < grown_up) {
            next_check_ = std::min(next_check_, grown_up);
            continue;
        }
        candidates.push_back(candidate(id, instance));
    }
    const std::vector<InstanceId> victims = choose_victims(std::move(candidates), missing);
    for (const InstanceId victim : victims) {
        stop(victim, StopReason::evicted);
    }
    return !victims.empty();
}

/// Makes the least valuable instances, busy ones too, leave as soon as they are idle, until what
/// leaves frees `missing`. Those that retire already count.
void Scheduler::retire(Footprint missing, StopReason reason) {
    std::vector<Candidate> candidates;
    for (const auto& [id, instance] : instances_) {
        if (instance.state != InstanceState::ready) {
            continue;
        }
        if (instance.retiring.has_value()) {
            missing = shortfall(missing, ledger_.holding(id));
        } else if (!models_.at(instance.model).traits.pinned) {
            candidates.push_back(candidate(id, instance));
        }
    }
    if (nothing(missing)) {
        return;
    }
    std::vector<InstanceId> victims = choose_victims(candidates, missing);
    if (victims.empty() && reason == StopReason::shrunk) {
        // A budget that is broken already takes whatever helps.
        for (const Candidate& one : candidates) {
            victims.push_back(one.instance);
        }
    }
    for (const InstanceId victim : victims) {
        Instance& instance = instances_.at(victim);
        instance.retiring = reason;
        if (instance.leases == 0) {
            stop(victim, reason);
        }
    }
}

/// Brings what is held back under the budget after the budget shrank or an instance grew.
void Scheduler::shrink() {
    const Footprint missing = shortfall(ledger_.held() - leaving_, ledger_.budget());
    if (nothing(missing) || evict_idle(missing, true)) {
        return;
    }
    retire(missing, StopReason::shrunk);
}

/// Instances that retire for a waiting model stay when no model is owed memory any more.
void Scheduler::unretire() {
    const bool somebody_is_owed =
        std::any_of(hungry_.begin(), hungry_.end(), [this](const auto& hunger) {
            return hunger.since != TimePoint::max() && now_ >= hunger.since + options_.max_wait;
        });
    if (somebody_is_owed) {
        return;
    }
    for (auto& [id, instance] : instances_) {
        if (instance.state == InstanceState::ready && instance.retiring == StopReason::evicted) {
            instance.retiring.reset();
            serve(instance.model, models_.at(instance.model));
        }
    }
}

/// What pinned instances of other models hold: nobody else can ever get it.
Footprint Scheduler::pinned_elsewhere(ModelId model) const {
    Footprint pinned;
    for (const auto& [id, instance] : instances_) {
        if (instance.model != model && models_.at(instance.model).traits.pinned &&
            instance.state != InstanceState::stopping) {
            pinned += ledger_.holding(id);
        }
    }
    return pinned;
}

Candidate Scheduler::candidate(InstanceId id, const Instance& instance) const {
    const Model& model = models_.at(instance.model);
    return {.instance = id,
            .held = ledger_.holding(id),
            .priority = model.traits.priority,
            .usage = model.usage.at(now_),
            .load_time = model.traits.load_time,
            .last_used = model.last_used};
}

void Scheduler::check_invariants() const {
    ledger_.check();
    Footprint leaving;
    std::size_t expiring = 0;
    for (const auto& [id, instance] : instances_) {
        const Model& model = models_.at(instance.model);
        DROVER_ASSERT(model.instance == id);  // so no model has two
        DROVER_ASSERT(instance.state == InstanceState::ready || instance.leases == 0);
        DROVER_ASSERT(instance.leases <= model.traits.lease_limit);
        DROVER_ASSERT(!instance.expires_at.has_value() ||
                      (instance.state == InstanceState::ready && instance.leases == 0));
        // An instance that takes leases has nobody waiting for one.
        DROVER_ASSERT(model.queue.empty() || instance.state != InstanceState::ready ||
                      instance.retiring.has_value() || instance.leases == model.traits.lease_limit);
        expiring += instance.expires_at.has_value() ? 1 : 0;
        if (instance.state == InstanceState::stopping) {
            leaving += ledger_.holding(id);
        }
    }
    DROVER_ASSERT(leaving == leaving_);
    DROVER_ASSERT(expiring == expiries_.size());
    std::size_t waiting = 0;
    for (const auto& [id, model] : models_) {
        waiting += model.queue.size();
        DROVER_ASSERT(model.queue.size() <= model.traits.queue_limit);
        // No load is lost: whoever waits without an instance is in the plan.
        DROVER_ASSERT(model.hunger.has_value() ==
                      (!model.instance && (model.wanted || !model.queue.empty())));
        DROVER_ASSERT(!model.hunger.has_value() || hungry_.contains(*model.hunger));
    }
    DROVER_ASSERT(waiting == waiting_);
    if (!expiries_.empty() || next_check_ != TimePoint::max()) {
        DROVER_ASSERT(armed_.has_value());
    }
}

}  // namespace drover::memory

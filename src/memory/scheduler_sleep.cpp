// The part of the scheduler that knows of instances that sleep: they keep a part of their memory,
// and come back sooner than others.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {

void Scheduler::handle(const InstanceAsleep& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end() || found->second.state != InstanceState::falling_asleep) {
        return;
    }
    Instance& instance = found->second;
    Model& model = models_.at(instance.model);
    leaving_ -= std::exchange(instance.leaving, {});
    ledger_.correct(event.instance, event.measured);
    // Declared anew meanwhile, the model may have another placement there.
    if (kept_asleep(instance).has_value()) {
        model.traits.placements[instance.placement].asleep = event.measured;
    }
    instance.state = InstanceState::asleep;
    instance.idle_since = std::max(model.last_used, instance.since);
    model.asleep = std::exchange(model.instance, {});
    replan_ = true;
    if (instance.retiring.has_value()) {
        stop(event.instance, instance.retiring->reason);
        return;
    }
    place_idle(event.instance, instance);
    update_place(instance.model, model);
}

/// REQUIRES: it is idle, it can sleep, and what it keeps beyond what it has is available.
void Scheduler::fall_asleep(InstanceId id) {
    Instance& instance = instances_.at(id);
    const Footprint kept = kept_asleep(instance).value();
    DROVER_ASSERT(instance.leases == 0 && instance.state == InstanceState::ready);
    leave_idle(id, instance);
    set_retiring(id, instance, std::nullopt);
    instance.state = InstanceState::falling_asleep;
    ledger_.grow(id, kept.lacks(ledger_.holding(id)));
    instance.leaving = ledger_.holding(id) - kept;
    leaving_ += instance.leaving;
    effects_.emplace_back(SleepInstance{id, ledger_.holding(id)});
}

/// REQUIRES: it sleeps, and what it still needs is available.
void Scheduler::wake(ModelId id, Model& model) {
    const Footprint missing = still_needed(model);
    const InstanceId instance = std::exchange(model.asleep, {});
    leave_idle(instance, instances_.at(instance));
    ledger_.grow(instance, missing);
    instances_.at(instance).slept = true;
    model.last = instances_.at(instance).placement;
    effects_.emplace_back(WakeInstance{instance, id, ledger_.holding(instance)});
    enter_loading(id, model, instance);
}

/// The instance that sleeps for the model is no victim of those behind it in the line.
void Scheduler::set_aside(const Model& model, PlanningPass& pass) {
    if (!model.asleep || !idle_.contains(model.asleep)) {
        return;
    }
    leave_idle(model.asleep, instances_.at(model.asleep));
    pass.set_aside.push_back(model.asleep);
    if (!pass.promised.empty()) {
        pass.promised -= ledger_.holding(model.asleep);
    }
}

void Scheduler::put_back(const PlanningPass& pass) {
    for (const InstanceId id : pass.set_aside) {
        if (const auto found = instances_.find(id);
            found != instances_.end() && found->second.state == InstanceState::asleep) {
            place_idle(id, found->second);
        }
    }
}

/// The placement of the instance that sleeps for the model; null when there is none, or when the
/// model was declared without it meanwhile.
const Placement* Scheduler::bed_of(const Model& model) const {
    const auto asleep = instances_.find(model.asleep);
    const std::vector<Placement>& placements = model.traits.placements;
    return asleep != instances_.end() && asleep->second.placement < placements.size()
               ? &placements[asleep->second.placement]
               : nullptr;
}

/// Beyond what the instance that sleeps for the model holds already. REQUIRES: it has a bed.
Footprint Scheduler::still_needed(const Model& model) const {
    return bed_of(model)->footprint.lacks(ledger_.holding(model.asleep));
}

/// What it keeps where it lies; unset: it cannot sleep, or its model was declared without this
/// placement meanwhile.
const std::optional<Footprint>& Scheduler::kept_asleep(const Instance& instance) const {
    static const std::optional<Footprint> kNothing;
    const std::vector<Placement>& placements = models_.at(instance.model).traits.placements;
    return instance.placement < placements.size() ? placements[instance.placement].asleep
                                                  : kNothing;
}

/// Of the victims those that may sleep in `spare`, the most valuable first.
std::set<InstanceId> Scheduler::choose_sleepers(const Victims& victims, Footprint spare) const {
    std::set<InstanceId> sleepers;
    // What one moves to another device must have room there before anybody has left.
    Footprint room = ledger_.available();
    for (auto victim = victims.instances.rbegin(); victim != victims.instances.rend(); ++victim) {
        const Instance& instance = instances_.at(*victim);
        const std::optional<Footprint>& kept = kept_asleep(instance);
        if (instance.state != InstanceState::ready || !kept.has_value() || !kept->fits(spare)) {
            continue;
        }
        const Footprint moved = kept->lacks(ledger_.holding(*victim));
        if (moved.fits(room)) {
            room -= moved;
            spare -= *kept;
            sleepers.insert(*victim);
        }
    }
    return sleepers;
}

/// Expected time until the model serves again once it was evicted.
Duration Scheduler::return_time(const Model& model) {
    return model.traits.placements[model.last].asleep.has_value()
               ? model.wake_time.value_or(model.load_time)
               : model.load_time;
}

/// Time that is lost at the next request when the instance leaves now.
Duration Scheduler::loss_of(const Model& model, const Instance& instance) {
    return instance.state == InstanceState::asleep
               ? std::max(model.load_time - return_time(model), Duration())
               : return_time(model);
}

}  // namespace drover::memory

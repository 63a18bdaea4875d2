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
    if (instance.way < kept_asleep(instance).size()) {
        model.traits.placements[instance.placement].asleep[instance.way] = event.measured;
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

/// REQUIRES: it is idle, it can sleep in this way, and what it keeps then beyond what it has is
/// available.
void Scheduler::fall_asleep(InstanceId id, std::size_t way) {
    Instance& instance = instances_.at(id);
    const Footprint kept = kept_asleep(instance)[way];
    DROVER_ASSERT(instance.leases == 0 && instance.state == InstanceState::ready);
    leave_idle(id, instance);
    set_retiring(id, instance, std::nullopt);
    instance.state = InstanceState::falling_asleep;
    instance.way = way;
    ledger_.grow(id, kept.lacks(ledger_.holding(id)));
    instance.leaving = ledger_.holding(id) - kept;
    leaving_ += instance.leaving;
    effects_.emplace_back(SleepInstance{id, ledger_.holding(id), way});
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

/// What it keeps where it lies, in each way to sleep; empty: it cannot, or its model was declared
/// without this placement meanwhile.
std::span<const Footprint> Scheduler::kept_asleep(const Instance& instance) const {
    const std::vector<Placement>& placements = models_.at(instance.model).traits.placements;
    return instance.placement < placements.size() ? std::span(placements[instance.placement].asleep)
                                                  : std::span<const Footprint>();
}

/// Of the victims those that may sleep in `spare`, the most valuable first, each in the first way
/// for which there is room.
Scheduler::Sleepers Scheduler::choose_sleepers(const Victims& victims, Footprint spare) const {
    Sleepers sleepers;
    // What one moves to another device must have room there before anybody has left.
    Footprint room = ledger_.available();
    for (auto victim = victims.instances.rbegin(); victim != victims.instances.rend(); ++victim) {
        const Instance& instance = instances_.at(*victim);
        if (instance.state != InstanceState::ready) {
            continue;
        }
        const std::span<const Footprint> ways = kept_asleep(instance);
        const auto moved = [&](const Footprint& kept) {
            return kept.lacks(ledger_.holding(*victim));
        };
        const auto way = std::find_if(ways.begin(), ways.end(), [&](const Footprint& kept) {
            return kept.fits(spare) && moved(kept).fits(room);
        });
        if (way != ways.end()) {
            room -= moved(*way);
            spare -= *way;
            sleepers.emplace(*victim, way - ways.begin());
        }
    }
    return sleepers;
}

/// Expected time until the model serves again once it was evicted: it sleeps in its best way then.
Duration Scheduler::return_time(const Model& model) {
    return model.traits.placements[model.last].asleep.empty() ? model.load_time
                                                              : wake_time(model, 0);
}

/// Expected time to wake up from a way to sleep; of one not seen yet, as long as a load.
Duration Scheduler::wake_time(const Model& model, std::size_t way) {
    const auto seen = model.wake_times.find(way);
    return seen != model.wake_times.end() ? seen->second : model.load_time;
}

/// Time that is lost at the next request when the instance leaves now.
Duration Scheduler::loss_of(const Model& model, const Instance& instance) {
    return instance.state == InstanceState::asleep
               ? std::max(model.load_time - wake_time(model, instance.way), Duration())
               : return_time(model);
}

}  // namespace drover::memory

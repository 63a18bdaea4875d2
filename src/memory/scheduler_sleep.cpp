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
    model.kept_asleep = event.measured;
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

/// REQUIRES: it is idle, and its model can sleep.
void Scheduler::fall_asleep(InstanceId id) {
    Instance& instance = instances_.at(id);
    DROVER_ASSERT(instance.leases == 0 && instance.state == InstanceState::ready);
    leave_idle(id, instance);
    set_retiring(id, instance, std::nullopt);
    instance.state = InstanceState::falling_asleep;
    instance.leaving = ledger_.holding(id) - *models_.at(instance.model).kept_asleep;
    leaving_ += instance.leaving;
    effects_.emplace_back(SleepInstance{id});
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

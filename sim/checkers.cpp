#include "checkers.hpp"

#include <algorithm>
#include <variant>

namespace drover::sim {

using memory::RefuseReason;
using memory::StopReason;

void Checkers::before(const memory::Event& event, TimePoint now) {
    now_ = now;
    world_moved_ = false;
    failed_load_.reset();
    unloading_.reset();
    std::visit([this](const auto& one) { note(one); }, event);
}

void Checkers::see(const memory::Effect& effect) {
    std::visit([this](const auto& one) { check(one); }, effect);
}

void Checkers::after() {
    const memory::Footprint over = held_.lacks(budget_);
    if (world_moved_) {
        over_allowed_ = over;
    }
    expect(over.fits(over_allowed_), "the budget holds");
    over_allowed_ = over;
    check_idle();
    check_waiting();
}

// ---- What the scheduler is told. ----

void Checkers::note(const memory::ModelDeclared& event) {
    Model& model = models_[event.model];
    model.traits = event.traits;
    if (const auto found = instances_.find(model.instance); found != instances_.end()) {
        found->second.keep_alive = event.traits.keep_alive;
    }
}

void Checkers::note(const memory::RequestArrived& event) {
    requests_.emplace(event.request, Request{event.model, event.keep_alive, now_});
    Model& model = models_.at(event.model);
    model.queue.push_back(event.request);
    ++model.waiting;
    ++waiting_;
}

void Checkers::note(const memory::RequestCancelled& event) {
    if (waits(event.request)) {
        --models_.at(requests_.at(event.request).model).waiting;
        --waiting_;
        requests_.erase(event.request);
    }
}

void Checkers::note(const memory::LeaseEnded& event) {
    const auto ended = requests_.extract(event.request);
    const auto found = instances_.find(ended.mapped().instance);
    if (found != instances_.end() && --found->second.leases == 0) {
        found->second.idle_since = now_;
    }
}

void Checkers::note(const memory::InstanceReady& event) {
    Instance& instance = instances_.at(event.instance);
    instance.ready = true;
    instance.idle_since = now_;
    set_held(instance, event.measured);
}

void Checkers::note(const memory::InstanceAsleep& event) {
    Instance& instance = instances_.at(event.instance);
    instance.falling_asleep = false;
    instance.asleep = true;
    hold(instance, event.measured);
}

void Checkers::note(const memory::InstanceMeasured& event) {
    Instance& instance = instances_.at(event.instance);
    if (!instance.stopping) {
        set_held(instance, event.measured);
    }
}

void Checkers::note(const memory::InstanceGone& event) {
    const auto gone = instances_.extract(event.instance);
    held_ -= gone.mapped().held;
    models_.at(gone.mapped().model).instance = {};
    const Instance& instance = gone.mapped();
    const bool was_leaving = instance.stopping || instance.falling_asleep || instance.asleep;
    if (!instance.ready && !was_leaving && !instance.slept) {
        failed_load_ = gone.mapped().model;
    }
}

void Checkers::note(const memory::UnloadRequested& event) {
    unloading_ = event.model;
}

void Checkers::note(const memory::BudgetChanged& event) {
    budget_ = event.budget;
    world_moved_ = true;
}

void Checkers::set_held(Instance& instance, const memory::Footprint& held) {
    auto& placements = models_.at(instance.model).traits.placements;
    if (memory::Footprint& needed = placements[instance.placement].footprint;
        needed.same_devices(held)) {
        needed.raise_to(held);
    }
    hold(instance, held);
}

void Checkers::hold(Instance& instance, const memory::Footprint& held) {
    held_ += held - instance.held;
    instance.held = held;
    world_moved_ = true;
}

// ---- What it does. ----

void Checkers::check(const memory::StartInstance& effect) {
    Model& model = models_.at(effect.model);
    expect(!model.instance, "a model has one instance");
    expect(!draining_, "nothing starts while draining");
    expect(effect.reserved.fits(budget_ - held_), "a load starts only when its bytes are free");
    check_placement(model, effect);
    model.instance = effect.instance;
    held_ += effect.reserved;
    instances_.emplace(effect.instance,
                       Instance{.model = effect.model,
                                .placement = effect.placement,
                                .held = effect.reserved,
                                .keep_alive = model.traits.keep_alive});
}

/// The load is one of those that the model may have, and the best that there could be.
void Checkers::check_placement(const Model& model, const memory::StartInstance& effect) {
    const std::vector<memory::Placement>& placements = model.traits.placements;
    expect(effect.placement < placements.size(), "a load has one of the model's placements");
    if (!violation_.empty()) {
        return;
    }
    const memory::Placement& chosen = placements[effect.placement];
    expect(chosen.footprint.fits(effect.reserved), "a load reserves what was estimated");
    expect(chosen.footprint.same_devices(effect.reserved), "a load takes nothing of other devices");
    const memory::Footprint most = ceiling();
    for (const memory::Placement& other : placements) {
        expect(other.grade >= chosen.grade || !other.footprint.fits(most),
               "a worse placement is for those that fit into no better one");
    }
}

/// The most that a model without an instance can get.
memory::Footprint Checkers::ceiling() const {
    memory::Footprint most = budget_;
    for (const auto& [id, instance] : instances_) {
        const bool stays = models_.at(instance.model).traits.pinned && !instance.stopping;
        most -= stays ? instance.held : memory::Footprint();
    }
    return most;
}

/// It sleeps where its model can never fit any more: it is in its own way.
bool Checkers::can_never_wake(const Instance& instance) const {
    const auto& placements = models_.at(instance.model).traits.placements;
    return instance.asleep && (instance.placement >= placements.size() ||
                               !placements[instance.placement].footprint.fits(ceiling()));
}

/// Somebody waits for a model that could use what it holds.
bool Checkers::is_in_the_way(const Instance& instance) const {
    return std::any_of(models_.begin(), models_.end(), [&instance](const auto& one) {
        const auto& [id, model] = one;
        const auto& placements = model.traits.placements;
        return (id != instance.model || instance.asleep) && model.waiting > 0 &&
               std::any_of(placements.begin(), placements.end(), [&](const auto& placement) {
                   return placement.footprint.overlaps(instance.held);
               });
    });
}

void Checkers::check(const memory::StopInstance& effect) {
    const auto found = instances_.find(effect.instance);
    expect(found != instances_.end() && !found->second.stopping, "an instance is stopped once");
    if (!violation_.empty()) {
        return;
    }
    Instance& instance = found->second;
    const bool pinned = models_.at(instance.model).traits.pinned;
    expect(!instance.falling_asleep, "what falls asleep is left alone");
    expect(instance.leases == 0, "an instance in use is never stopped");
    switch (effect.reason) {
        case StopReason::evicted:
            check_evicted(instance);
            break;
        case StopReason::expired:
            expect(!pinned || instance.asleep, "a pinned model never expires");
            expect((instance.ready || instance.asleep) && instance.keep_alive.has_value() &&
                       now_ - instance.idle_since >= *instance.keep_alive,
                   "an instance expires only when it was idle for its keep_alive");
            break;
        case StopReason::shrunk:
            expect(!pinned || instance.asleep,
                   "a pinned model does not leave for a smaller budget");
            expect(!held_.fits(budget_), "nothing shrinks while the budget holds");
            break;
        case StopReason::unloaded:
            break;
        case StopReason::draining:
            expect(draining_, "nothing drains unless asked");
            break;
    }
    instance.stopping = true;
}

void Checkers::check_evicted(const Instance& instance) {
    if (can_never_wake(instance)) {
        return;
    }
    expect(instance.asleep || waiting_ > models_.at(instance.model).waiting,
           "nobody is evicted unless another model is waited for");
    expect(is_in_the_way(instance), "nobody is evicted from a device that nobody waits for");
    expect(instance.ready || instance.asleep, "a load is never evicted");
    expect(!models_.at(instance.model).traits.pinned || instance.asleep,
           "a pinned model is never evicted");
}

void Checkers::check(const memory::SleepInstance& effect) {
    const auto found = instances_.find(effect.instance);
    expect(found != instances_.end() && !found->second.stopping && found->second.ready,
           "what falls asleep is there and ready");
    if (!violation_.empty()) {
        return;
    }
    Instance& instance = found->second;
    expect(instance.leases == 0, "an instance in use never falls asleep");
    const auto& placements = models_.at(instance.model).traits.placements;
    expect(effect.way < placements[instance.placement].asleep.size(), "only what can sleep sleeps");
    expect((effect.reserved - instance.held).fits(budget_ - held_),
           "what falls asleep takes only what is free");
    check_evicted(instance);
    held_ += effect.reserved - instance.held;
    instance.held = effect.reserved;
    instance.ready = false;
    instance.falling_asleep = true;
}

void Checkers::check(const memory::WakeInstance& effect) {
    const auto found = instances_.find(effect.instance);
    expect(found != instances_.end() && !found->second.stopping && found->second.asleep,
           "only what sleeps wakes up");
    if (!violation_.empty()) {
        return;
    }
    Instance& instance = found->second;
    const memory::ModelTraits& traits = models_.at(effect.model).traits;
    expect(!draining_, "nothing starts while draining");
    expect((effect.reserved - instance.held).fits(budget_ - held_),
           "an instance wakes up only when its bytes are free");
    expect(traits.placements[instance.placement].footprint.fits(effect.reserved),
           "a load reserves what was estimated");
    held_ += effect.reserved - instance.held;
    instance.held = effect.reserved;
    instance.asleep = false;
    instance.slept = true;
    instance.keep_alive = traits.keep_alive;
}

void Checkers::check(const memory::GrantLease& effect) {
    const bool waiting = waits(effect.request);
    expect(waiting, "a request is answered once");
    const auto found = instances_.find(effect.instance);
    expect(found != instances_.end() && found->second.ready && !found->second.stopping,
           "a lease is on an instance that is ready");
    if (!violation_.empty()) {
        return;
    }
    Request& request = requests_.at(effect.request);
    Instance& instance = found->second;
    Model& model = models_.at(instance.model);
    expect(request.model == instance.model, "a lease is on the model that was asked for");
    expect(oldest(model) == effect.request, "requests for one model are served in order");
    ++instance.leases;
    expect(instance.leases <= model.traits.lease_limit, "the lease limit holds");
    request.instance = effect.instance;
    if (request.keep_alive.has_value()) {
        instance.keep_alive = *request.keep_alive;
    }
    --model.waiting;
    --waiting_;
}

void Checkers::check(const memory::RefuseRequest& effect) {
    expect(waits(effect.request), "a request is answered once");
    if (!violation_.empty()) {
        return;
    }
    const Request request = requests_.extract(effect.request).mapped();
    Model& model = models_.at(request.model);
    switch (effect.reason) {
        case RefuseReason::queue_full:
            expect(request.since == now_, "only the newest request finds the queue full");
            expect(model.waiting > model.traits.queue_limit, "the queue is used up to its limit");
            expect(effect.retry_after.has_value() && *effect.retry_after > Duration(0),
                   "a full queue says when to come back");
            break;
        case RefuseReason::never_fits:
            expect(!effect.needed.fits(effect.available), "what could fit is not refused");
            expect(effect.available.fits(budget_), "nobody is promised more than the budget");
            break;
        case RefuseReason::load_failed:
            expect(failed_load_ == request.model, "only those who waited for a load fail with it");
            break;
        case RefuseReason::backing_off:
            expect(effect.retry_after.has_value() && *effect.retry_after > Duration(0),
                   "a model that backs off says for how long");
            break;
        case RefuseReason::draining:
            expect(draining_, "nobody is sent away unless draining");
            break;
    }
    --model.waiting;
    --waiting_;
}

void Checkers::check(const memory::WakeAt& effect) {
    expect(!wake_at_.has_value() || effect.at != *wake_at_,
           "the timer is set only when it changes");
    wake_at_ = effect.at;
}

// ---- What holds at all times. ----

void Checkers::check_idle() {
    for (const auto& [id, instance] : instances_) {
        if (instance.asleep && !instance.stopping) {
            expect(!draining_, "an instance that sleeps leaves at once while draining");
            expect(unloading_ != instance.model, "one that sleeps leaves when it is unloaded");
        }
        if (!instance.ready || instance.stopping || instance.leases > 0) {
            continue;
        }
        if (!models_.at(instance.model).traits.pinned && instance.keep_alive.has_value()) {
            expect(now_ - instance.idle_since < *instance.keep_alive,
                   "an idle instance leaves when its keep_alive ends");
            expect(wake_at_.has_value() && *wake_at_ - instance.idle_since <= *instance.keep_alive,
                   "the timer is set when something depends on time");
        }
        expect(!draining_, "an idle instance leaves at once while draining");
        expect(unloading_ != instance.model, "an idle instance leaves when it is unloaded");
    }
}

void Checkers::check_waiting() {
    for (auto& [id, model] : models_) {
        expect(model.waiting <= std::max(model.traits.queue_limit, 1U), "the queue limit holds");
        if (model.waiting > 0 && wait_bound_.has_value()) {
            expect(now_ - requests_.at(oldest(model)).since <= *wait_bound_, "waiting is bounded");
        }
    }
    expect(!draining_ || waiting_ == 0, "nobody waits while draining");
}

/// The request that has waited longest.
RequestId Checkers::oldest(Model& model) const {
    while (!model.queue.empty() && !waits(model.queue.front())) {
        model.queue.pop_front();
    }
    return model.queue.empty() ? RequestId{} : model.queue.front();
}

bool Checkers::waits(RequestId request) const {
    const auto found = requests_.find(request);
    return found != requests_.end() && !found->second.instance;
}

}  // namespace drover::sim

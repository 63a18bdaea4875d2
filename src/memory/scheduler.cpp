#include "memory/scheduler.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace drover::memory {

Scheduler::Scheduler(SchedulerOptions options, const Footprint& budget)
    : options_(options), ledger_(budget) {}

Effects Scheduler::on(const Event& event, TimePoint now) {
    DROVER_ASSERT(now >= now_);
    now_ = now;
    std::visit([this](const auto& one) { handle(one); }, event);
    expire();
    if (replan_) {
        replan_ = false;
        plan();
    }
    arm_timer();
    return std::exchange(effects_, {});
}

void Scheduler::handle(const ModelDeclared& event) {
    Model& model = models_[event.model];
    model.traits = event.traits;
    if (const auto found = instances_.find(model.instance); found != instances_.end()) {
        found->second.keep_alive = event.traits.keep_alive;
        if (found->second.expires_at.has_value()) {
            become_idle(found->first, found->second);
        }
    }
    update_hunger(event.model, model);
    replan_ = true;
}

void Scheduler::handle(const RequestArrived& event) {
    Model& model = models_.at(event.model);
    model.usage.note(now_);
    model.last_used = now_;
    if (draining_) {
        refuse(event.request, {.request = {}, .reason = RefuseReason::draining});
        return;
    }
    if (const auto wait = model.backoff.remaining(now_); wait.has_value() && !model.instance) {
        refuse(event.request,
               {.request = {}, .reason = RefuseReason::backing_off, .retry_after = wait});
        return;
    }
    requests_.emplace(event.request, Request{.model = event.model});
    model.queue.push_back({event.request, now_, event.keep_alive});
    ++waiting_;
    serve(event.model, model);
    if (model.queue.size() > model.traits.queue_limit) {
        model.queue.pop_back();
        --waiting_;
        const Duration patience =
            std::max<Duration>(model.traits.load_time, std::chrono::seconds(1));
        refuse(event.request,
               {.request = {}, .reason = RefuseReason::queue_full, .retry_after = patience});
    }
    update_hunger(event.model, model);
}

void Scheduler::handle(const RequestCancelled& event) {
    const auto found = requests_.find(event.request);
    if (found == requests_.end() || found->second.instance) {
        return;  // already answered: whoever holds the lease ends it
    }
    Model& model = models_.at(found->second.model);
    std::erase_if(model.queue, [&](const Waiting& one) { return one.request == event.request; });
    --waiting_;
    update_hunger(found->second.model, model);
    requests_.erase(found);
    replan_ = true;  // what was retired for it may stay
}

void Scheduler::handle(const LeaseEnded& event) {
    const auto found = requests_.find(event.request);
    if (found == requests_.end() || !found->second.instance) {
        return;
    }
    const InstanceId id = found->second.instance;
    Model& model = models_.at(found->second.model);
    const ModelId model_id = found->second.model;
    requests_.erase(found);
    const auto at = instances_.find(id);
    if (at == instances_.end()) {
        return;  // its instance crashed before it ended
    }
    DROVER_ASSERT(at->second.leases > 0);
    --at->second.leases;
    model.backoff.note_success();
    model.last_used = now_;
    serve(model_id, model);
    if (at->second.leases == 0) {
        become_idle(id, at->second);
    }
}

void Scheduler::handle(const InstanceReady& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end() || found->second.state != InstanceState::loading) {
        return;
    }
    Instance& instance = found->second;
    ledger_.correct(event.instance, event.measured);
    instance.state = InstanceState::ready;
    instance.ready_since = now_;
    Model& model = models_.at(instance.model);
    model.wanted = false;
    serve(instance.model, model);
    if (instance.leases == 0) {
        become_idle(event.instance, instance);
    }
    replan_ = true;
}

void Scheduler::handle(const InstanceMeasured& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end() || found->second.state != InstanceState::ready) {
        return;  // one that stops already is charged until it is gone
    }
    ledger_.correct(event.instance, event.measured);
    replan_ = true;
}

void Scheduler::handle(const InstanceGone& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end()) {
        return;
    }
    const Instance instance = found->second;
    if (instance.state == InstanceState::stopping) {
        leaving_ -= ledger_.holding(event.instance);
    }
    if (instance.expires_at.has_value()) {
        expiries_.erase({*instance.expires_at, event.instance});
    }
    ledger_.release(event.instance);
    instances_.erase(found);
    Model& model = models_.at(instance.model);
    model.instance = {};
    if (instance.state != InstanceState::stopping) {
        model.wanted = false;
        model.backoff.note_failure(now_, options_.backoff_first, options_.backoff_max);
        const auto wait = model.backoff.remaining(now_);
        if (instance.state == InstanceState::loading) {
            refuse_waiting(
                model, {.request = {}, .reason = RefuseReason::load_failed, .retry_after = wait});
        } else if (wait.has_value()) {
            refuse_waiting(
                model, {.request = {}, .reason = RefuseReason::backing_off, .retry_after = wait});
        }
    }
    update_hunger(instance.model, model);
    replan_ = true;
}

void Scheduler::handle(const LoadRequested& event) {
    Model& model = models_.at(event.model);
    if (!draining_ && !model.instance && !model.backoff.remaining(now_).has_value()) {
        model.wanted = true;
        update_hunger(event.model, model);
    }
}

void Scheduler::handle(const UnloadRequested& event) {
    Model& model = models_.at(event.model);
    model.wanted = false;
    update_hunger(event.model, model);
    const auto found = instances_.find(model.instance);
    if (found == instances_.end() || found->second.state == InstanceState::stopping) {
        return;
    }
    Instance& instance = found->second;
    instance.retiring = StopReason::unloaded;
    const bool loads_for_nobody = instance.state == InstanceState::loading && model.queue.empty();
    if (loads_for_nobody || (instance.state == InstanceState::ready && instance.leases == 0)) {
        stop(found->first, StopReason::unloaded);
    }
}

void Scheduler::handle(const BudgetChanged& event) {
    ledger_.set_budget(event.budget);
    replan_ = true;
}

void Scheduler::handle(const TimerFired&) {
    armed_.reset();
    replan_ = true;
}

void Scheduler::handle(const DrainStarted&) {
    draining_ = true;
    for (auto& [id, model] : models_) {
        model.wanted = false;
        refuse_waiting(model, {.request = {}, .reason = RefuseReason::draining});
        update_hunger(id, model);
    }
    for (auto& [id, instance] : instances_) {
        if (instance.state == InstanceState::stopping) {
            continue;
        }
        instance.retiring = StopReason::draining;
        if (instance.leases == 0) {
            stop(id, StopReason::draining);
        }
    }
}

/// Gives leases to waiting requests as long as the instance takes them.
void Scheduler::serve(ModelId, Model& model) {
    const auto found = instances_.find(model.instance);
    if (found == instances_.end()) {
        return;
    }
    const Instance& instance = found->second;
    while (!model.queue.empty() && instance.state == InstanceState::ready &&
           !instance.retiring.has_value() && instance.leases < model.traits.lease_limit) {
        const Waiting next = model.queue.front();
        model.queue.pop_front();
        --waiting_;
        grant(next, model);
    }
}

void Scheduler::grant(const Waiting& waiting, Model& model) {
    Instance& instance = instances_.at(model.instance);
    if (instance.expires_at.has_value()) {
        expiries_.erase({*instance.expires_at, model.instance});
        instance.expires_at.reset();
    }
    if (waiting.keep_alive.has_value()) {
        instance.keep_alive = *waiting.keep_alive;
    }
    ++instance.leases;
    requests_.at(waiting.request).instance = model.instance;
    effects_.emplace_back(GrantLease{waiting.request, model.instance});
}

/// The instance has no leases: it stops if it was to leave, else its keep-alive begins to run.
void Scheduler::become_idle(InstanceId id, Instance& instance) {
    if (instance.retiring.has_value()) {
        stop(id, *instance.retiring);
        return;
    }
    if (instance.expires_at.has_value()) {
        expiries_.erase({*instance.expires_at, id});
        instance.expires_at.reset();
    }
    if (instance.keep_alive.has_value() && !models_.at(instance.model).traits.pinned) {
        instance.expires_at = now_ + *instance.keep_alive;
        expiries_.emplace(*instance.expires_at, id);
    }
    replan_ = true;
}

void Scheduler::refuse_waiting(Model& model, const RefuseRequest& how) {
    for (const Waiting& waiting : model.queue) {
        refuse(waiting.request, how);
    }
    waiting_ -= model.queue.size();
    model.queue.clear();
}

void Scheduler::refuse(RequestId request, RefuseRequest how) {
    how.request = request;
    requests_.erase(request);
    effects_.emplace_back(how);
}

/// Keeps `hungry_` equal to the models that want an instance and have none.
void Scheduler::update_hunger(ModelId id, Model& model) {
    std::optional<HungerKey> hunger;
    if (!model.instance && (model.wanted || !model.queue.empty())) {
        const TimePoint since = model.queue.empty() ? TimePoint::max() : model.queue.front().since;
        hunger = HungerKey{.importance = -model.traits.priority, .since = since, .model = id};
    }
    if (hunger == model.hunger) {
        return;
    }
    if (model.hunger.has_value()) {
        hungry_.erase(*model.hunger);
    }
    if (hunger.has_value()) {
        hungry_.insert(*hunger);
        replan_ = true;
    }
    model.hunger = hunger;
}

void Scheduler::start(ModelId id, Model& model) {
    const InstanceId instance{++last_instance_.value};
    ledger_.reserve(instance, model.traits.footprint);
    instances_.emplace(instance, Instance{.model = id, .keep_alive = model.traits.keep_alive});
    model.instance = instance;
    update_hunger(id, model);
    effects_.emplace_back(StartInstance{instance, id, model.traits.footprint});
}

void Scheduler::stop(InstanceId id, StopReason reason) {
    Instance& instance = instances_.at(id);
    DROVER_ASSERT(instance.leases == 0 && instance.state != InstanceState::stopping);
    if (instance.expires_at.has_value()) {
        expiries_.erase({*instance.expires_at, id});
        instance.expires_at.reset();
    }
    instance.state = InstanceState::stopping;
    leaving_ += ledger_.holding(id);
    effects_.emplace_back(StopInstance{id, reason});
}

void Scheduler::expire() {
    while (!expiries_.empty() && expiries_.begin()->first <= now_) {
        stop(expiries_.begin()->second, StopReason::expired);
    }
}

/// Asks to be woken when the next thing depends on time. A wake-up that turned out to be too early
/// costs less than moving the timer at every request.
void Scheduler::arm_timer() {
    TimePoint at = next_check_;
    if (!expiries_.empty()) {
        at = std::min(at, expiries_.begin()->first);
    }
    if (at != TimePoint::max() && (!armed_.has_value() || at < *armed_)) {
        armed_ = at;
        effects_.emplace_back(WakeAt{at});
    }
}

std::vector<InstanceView> Scheduler::instances() const {
    std::vector<InstanceView> views;
    views.reserve(instances_.size());
    for (const auto& [id, instance] : instances_) {
        views.push_back(view(id, instance));
    }
    return views;
}

std::optional<InstanceView> Scheduler::instance_of(ModelId model) const {
    const auto found = models_.find(model);
    if (found == models_.end() || !found->second.instance) {
        return std::nullopt;
    }
    return view(found->second.instance, instances_.at(found->second.instance));
}

InstanceView Scheduler::view(InstanceId id, const Instance& instance) const {
    return {.instance = id,
            .model = instance.model,
            .state = instance.state,
            .retiring = instance.retiring.has_value(),
            .held = ledger_.holding(id),
            .leases = instance.leases,
            .expires_at = instance.expires_at};
}

std::size_t Scheduler::waiting(ModelId model) const {
    const auto found = models_.find(model);
    return found == models_.end() ? 0 : found->second.queue.size();
}

}  // namespace drover::memory

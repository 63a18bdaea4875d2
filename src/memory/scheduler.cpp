#include "memory/scheduler.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace drover::memory {

namespace {

/// Any duration is allowed, so the sum must not wrap around.
TimePoint later(TimePoint from, Duration by) {
    return by < TimePoint::max() - from ? from + by : TimePoint::max();
}

/// Asked of a client at least, and what a request is assumed to take before one has been seen.
constexpr Duration kRetryAfterMin = std::chrono::seconds(1);

/// Weight of the newest observation in a smoothed duration.
constexpr int kSmoothing = 4;

/// It serves, or is about to.
bool in_service(InstanceState state) {
    return state == InstanceState::loading || state == InstanceState::ready;
}

/// An instance that nobody uses for this part of its load time is idle rather than between two
/// requests of a busy client, so its youth does not protect it.
constexpr int kLingerDivisor = 16;

}  // namespace

Scheduler::Scheduler(SchedulerOptions options, const Footprint& budget)
    : options_(options), ledger_(budget) {}

Effects Scheduler::on(const Event& event, TimePoint now) {
    DROVER_ASSERT(now >= now_);
    now_ = now;
    std::visit([this](const auto& one) { handle(one); }, event);
    expire();
    resume();
    line_.age(now_);
    idle_.age(now_);
    while (replan_) {
        replan_ = false;
        plan();
    }
    arm_timer();
    return std::exchange(effects_, {});
}

void Scheduler::handle(const ModelDeclared& event) {
    Model& model = models_[event.model];
    if (model.traits.load_time != event.traits.load_time) {
        model.load_time = event.traits.load_time;
    }
    model.traits = event.traits;
    // With zeros the model could never be loaded or never serve.
    model.traits.lease_limit = std::max(model.traits.lease_limit, 1U);
    model.traits.queue_limit = std::max(model.traits.queue_limit, 1U);
    DROVER_ASSERT(!model.traits.placements.empty());
    DROVER_ASSERT(
        std::is_sorted(model.traits.placements.begin(),
                       model.traits.placements.end(),
                       [](const Placement& a, const Placement& b) { return a.grade < b.grade; }));
    model.last = 0;
    model.claim.reset();
    const auto found = instances_.find(model.asleep ? model.asleep : model.instance);
    if (found != instances_.end()) {
        found->second.keep_alive = event.traits.keep_alive;
    }
    if (found != instances_.end() && in_service(found->second.state)) {
        auto& [id, instance] = *found;
        if (event.traits.pinned) {
            pinned_.insert(id);
            // What was to leave for others, or for a smaller budget, stays now.
            if (instance.retiring.has_value() &&
                (instance.retiring->reason == StopReason::evicted ||
                 instance.retiring->reason == StopReason::shrunk)) {
                set_retiring(id, instance, std::nullopt);
            }
        } else {
            pinned_.erase(id);
        }
        serve(model);  // the lease limit may have risen
        if (instance.idle_since.has_value()) {
            place_idle(id, instance);
        }
    }
    if (model.asleep) {
        place_idle(model.asleep, instances_.at(model.asleep));
    }
    update_place(event.model, model);
    replan_ = ceiling_fell_ = true;
}

void Scheduler::handle(const RequestArrived& event) {
    Model& model = models_.at(event.model);
    model.last_used = now_;
    note_visit(event.model, model);
    if (draining_) {
        refuse(event.request, {.request = {}, .reason = RefuseReason::draining});
        return;
    }
    const auto wait = model.backoff.remaining(now_);
    if (wait.has_value() && !model.instance && *wait > patience(model)) {
        refuse(event.request,
               {.request = {}, .reason = RefuseReason::backing_off, .retry_after = wait});
        return;
    }
    model.queue.push_back({event.request, ++last_ticket_, now_, event.keep_alive});
    ++waiting_;
    const bool is_new =
        requests_.emplace(event.request, Request{event.model, {}, std::prev(model.queue.end())})
            .second;
    DROVER_ASSERT(is_new);
    serve(model);
    if (model.queue.size() > model.traits.queue_limit) {
        model.queue.pop_back();
        --waiting_;
        const auto instance = instances_.find(model.instance);
        const bool hot =
            instance != instances_.end() && instance->second.state == InstanceState::ready;
        const Duration patience = model.serve_time + (hot ? Duration() : return_time(model));
        refuse(event.request,
               {.request = {},
                .reason = RefuseReason::queue_full,
                .retry_after = std::max(patience, kRetryAfterMin)});
    } else if (!model.instance) {
        refuse_if_never_fits(event.model, model, ceiling());
    }
    update_place(event.model, model);
}

/// Another model than the last is asked for: it counts as used, and every policy has a say.
void Scheduler::note_visit(ModelId id, Model& model) {
    if (id == last_asked_) {
        return;
    }
    last_asked_ = id;
    model.usage.note(++visit_);
    if (model.traits.pinned) {
        return;
    }
    const ShadowVisit visit{.model = id,
                            .priority = model.traits.priority,
                            .needed = model.traits.placements[model.last].footprint,
                            .load_time = return_time(model),
                            .at = now_};
    if (policies_.note(visit, model.usage, ceiling())) {
        for (auto& [other, instance] : instances_) {
            if (instance.idle_since.has_value()) {
                place_idle(other, instance);
            }
        }
    }
}

void Scheduler::handle(const RequestCancelled& event) {
    const auto found = requests_.find(event.request);
    if (found == requests_.end() || found->second.instance) {
        return;  // already answered: whoever holds the lease ends it
    }
    const ModelId id = found->second.model;
    Model& model = models_.at(id);
    model.queue.erase(found->second.place);
    --waiting_;
    requests_.erase(found);
    update_place(id, model);
    replan_ = true;  // what was retired for it may stay
}

void Scheduler::handle(const LeaseEnded& event) {
    const auto found = requests_.find(event.request);
    if (found == requests_.end() || !found->second.instance) {
        return;
    }
    const Request request = found->second;
    requests_.erase(found);
    Model& model = models_.at(request.model);
    const auto at = instances_.find(request.instance);
    if (at == instances_.end()) {
        return;  // its instance crashed before it ended
    }
    Instance& instance = at->second;
    DROVER_ASSERT(instance.leases > 0);
    if (--instance.leases == 0) {
        const Footprint& held = ledger_.holding(request.instance);
        busy_held_ -= held;
        retiring_held_ -= instance.retiring.has_value() ? held : Footprint();
    }
    if (!instance.first_served_at.has_value()) {
        instance.first_served_at = now_;
    }
    const Duration took = now_ - request.granted_at;
    model.serve_time += (took - model.serve_time) / kSmoothing;
    model.last_used = now_;
    serve(model);
    if (instance.leases == 0) {
        become_idle(request.instance, instance);
    }
}

void Scheduler::handle(const InstanceReady& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end() || found->second.state != InstanceState::loading) {
        return;
    }
    Instance& instance = found->second;
    Model& model = models_.at(instance.model);
    const Duration took = now_ - instance.since;
    if (instance.slept) {
        Duration& seen = model.wake_times.try_emplace(instance.way, took).first->second;
        seen = (seen + took) / 2;
    } else {
        model.load_time += (took - model.load_time) / 2;
    }
    model.wanted = false;
    instance.state = InstanceState::ready;
    instance.since = now_;
    correct(event.instance, instance, event.measured);
    serve(model);
    if (instance.leases == 0) {
        become_idle(event.instance, instance);
    }
    replan_ = true;
}

void Scheduler::handle(const InstanceMeasured& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end() || found->second.state != InstanceState::ready) {
        return;  // one that is leaving is charged until it has left
    }
    correct(event.instance, found->second, event.measured);
    replan_ = true;
}

void Scheduler::handle(const InstanceGone& event) {
    const auto found = instances_.find(event.instance);
    if (found == instances_.end()) {
        return;
    }
    leave_idle(event.instance, found->second);
    set_retiring(event.instance, found->second, std::nullopt);
    pinned_.erase(event.instance);
    const Instance instance = found->second;
    busy_held_ -= instance.leases > 0 ? ledger_.holding(event.instance) : Footprint();
    instances_.erase(found);
    leaving_ -= instance.leaving;
    ledger_.release(event.instance);
    Model& model = models_.at(instance.model);
    (instance.state == InstanceState::asleep ? model.asleep : model.instance) = {};
    if (instance.state == InstanceState::loading && instance.slept) {
        // It does not wake up: from now on it is stopped instead.
        for (Placement& placement : model.traits.placements) {
            placement.asleep.clear();
        }
    } else if (in_service(instance.state)) {
        note_failure(model, instance);
    } else if (instance.first_served_at.has_value()) {
        model.backoff.note_success();
    }
    update_place(instance.model, model);
    replan_ = true;
}

void Scheduler::handle(const LoadRequested& event) {
    Model& model = models_.at(event.model);
    const auto found = instances_.find(model.instance);
    const bool there = found != instances_.end() && in_service(found->second.state);
    if (!draining_ && !there && !model.backoff.remaining(now_).has_value()) {
        model.wanted = true;
        update_place(event.model, model);
    }
}

// Those who came before are still served, those who come later wait for the next load.
void Scheduler::handle(const UnloadRequested& event) {
    Model& model = models_.at(event.model);
    model.wanted = false;
    update_place(event.model, model);
    if (model.asleep) {
        stop(model.asleep, StopReason::unloaded);
        replan_ = true;  // what it claimed is free again
        return;
    }
    const auto found = instances_.find(model.instance);
    if (found == instances_.end() || found->second.state == InstanceState::stopping) {
        return;
    }
    auto& [id, instance] = *found;
    replan_ = true;
    if (in_service(instance.state) && instance.leases == 0 && model.queue.empty()) {
        stop(id, StopReason::unloaded);
        return;
    }
    set_retiring(id, instance, Retirement{StopReason::unloaded, last_ticket_ + 1});
    serve(model);
}

void Scheduler::handle(const BudgetChanged& event) {
    ledger_.set_budget(event.budget);
    replan_ = ceiling_fell_ = true;
}

// What ripens concerns those who are not owed memory yet, and who is owed it from now on stands
// behind those who are already.
void Scheduler::handle(const TimerFired&) {
    armed_.reset();
    replan_ = !looked_until_.has_value() || !looked_until_->owed;
}

void Scheduler::handle(const DrainStarted&) {
    draining_ = true;
    std::vector<ModelId> ids;
    for (const auto& [id, model] : models_) {
        ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    for (const ModelId id : ids) {
        Model& model = models_.at(id);
        model.wanted = false;
        refuse_waiting(model, {.request = {}, .reason = RefuseReason::draining});
        update_place(id, model);
    }
    for (auto& [id, instance] : instances_) {
        if (instance.state == InstanceState::stopping) {
            continue;
        }
        if (instance.leases == 0 && instance.state != InstanceState::falling_asleep) {
            stop(id, StopReason::draining);
        } else {
            set_retiring(id, instance, Retirement{StopReason::draining});
        }
    }
}

/// Gives leases to waiting requests as long as the instance takes them.
void Scheduler::serve(Model& model) {
    const auto found = instances_.find(model.instance);
    if (found == instances_.end() || found->second.state != InstanceState::ready) {
        return;
    }
    Instance& instance = found->second;
    while (!model.queue.empty() && instance.leases < model.traits.lease_limit &&
           (!instance.retiring.has_value() ||
            model.queue.front().ticket < instance.retiring->serves_before)) {
        grant(model, instance);
    }
}

void Scheduler::grant(Model& model, Instance& instance) {
    const Waiting waiting = model.queue.front();
    model.queue.pop_front();
    --waiting_;
    leave_idle(model.instance, instance);
    if (waiting.keep_alive.has_value()) {
        instance.keep_alive = *waiting.keep_alive;
    }
    if (instance.leases++ == 0) {
        const Footprint& held = ledger_.holding(model.instance);
        busy_held_ += held;
        retiring_held_ += instance.retiring.has_value() ? held : Footprint();
    }
    Request& request = requests_.at(waiting.request);
    request.instance = model.instance;
    request.granted_at = now_;
    effects_.emplace_back(GrantLease{waiting.request, model.instance});
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

/// Keeps the line and the pauses equal to the models that want an instance and have none.
void Scheduler::update_place(ModelId id, Model& model) {
    update_pause(id, model);
    std::optional<WaitingLine::Place> place;
    if (!model.resumes_at.has_value() && is_missed(model)) {
        const std::int32_t importance = -model.traits.priority;
        place = {importance, TimePoint::max(), TimePoint::max(), 0, id};
        if (!model.queue.empty()) {
            place->ticket = model.queue.front().ticket;
            place->since = model.queue.front().since;
            place->owed_at = later(place->since, options_.max_wait);
        }
    }
    if (place == model.place) {
        return;
    }
    if (model.place.has_value()) {
        line_.remove(*model.place);
    }
    if (place.has_value()) {
        line_.put(*place);
        replan_ = replan_ || !is_out_of_reach(*place);
    } else {
        model.claim.reset();
    }
    model.place = place;
    if (model.asleep) {
        place_idle(model.asleep, instances_.at(model.asleep));
    }
}

/// The instance has no leases: it stops if it was to leave anyway, else its keep-alive begins to
/// run.
void Scheduler::become_idle(InstanceId id, Instance& instance) {
    replan_ = true;
    if (instance.retiring.has_value() && instance.retiring->reason != StopReason::evicted) {
        stop(id, instance.retiring->reason);
        return;
    }
    // One that retires for a waiting model stops only when all that the model needs can be freed.
    instance.idle_since = now_;
    place_idle(id, instance);
}

/// Sorts an idle instance, or one that sleeps, in among those that expire and those that may be
/// evicted.
void Scheduler::place_idle(InstanceId id, Instance& instance) {
    const TimePoint idle_since = *instance.idle_since;
    leave_idle(id, instance);
    instance.idle_since = idle_since;
    const Model& model = models_.at(instance.model);
    const bool sleeps = instance.state == InstanceState::asleep;
    if (model.traits.pinned && !sleeps) {
        return;
    }
    // One whose model is waited for is about to wake up.
    if (instance.keep_alive.has_value() && !model.place.has_value()) {
        instance.expires_at = later(idle_since, *instance.keep_alive);
        expiries_.emplace(*instance.expires_at, id);
    }
    const std::optional<Duration> own = model.traits.min_residency;
    std::optional<TimePoint> ripe_at;
    if (!instance.retiring.has_value() && !sleeps) {
        ripe_at = own.has_value() ? later(instance.since, *own)
                                  : std::min(later(instance.since, options_.min_residency),
                                             later(idle_since, model.load_time / kLingerDivisor));
    }
    idle_.put(leaving_rank(id, instance), ledger_.holding(id), ripe_at);
}

void Scheduler::leave_idle(InstanceId id, Instance& instance) {
    instance.idle_since.reset();
    idle_.remove(id);
    if (instance.expires_at.has_value()) {
        expiries_.erase({*instance.expires_at, id});
        instance.expires_at.reset();
    }
}

void Scheduler::set_retiring(InstanceId id,
                             Instance& instance,
                             std::optional<Retirement> retiring) {
    if (instance.leases > 0 && instance.retiring.has_value() != retiring.has_value()) {
        const Footprint& held = ledger_.holding(id);
        retiring_held_ += retiring.has_value() ? held : Footprint() - held;
    }
    const auto shrinks = [](const std::optional<Retirement>& one) {
        return one.has_value() && one->reason == StopReason::shrunk ? std::size_t{1} : 0;
    };
    shrinking_ += shrinks(retiring) - shrinks(instance.retiring);
    instance.retiring = retiring;
    if (retiring.has_value()) {
        retiring_.insert(id);
    } else {
        retiring_.erase(id);
    }
}

/// The ledger takes the truth. What was too small an estimate once is not used again.
void Scheduler::correct(InstanceId id, Instance& instance, const Footprint& measured) {
    if (instance.leases > 0) {
        const Footprint more = measured - ledger_.holding(id);
        busy_held_ += more;
        retiring_held_ += instance.retiring.has_value() ? more : Footprint();
    }
    ledger_.correct(id, measured);
    Model& model = models_.at(instance.model);
    // Declared anew meanwhile, the model may have another placement there.
    if (auto& placements = model.traits.placements;
        instance.placement < placements.size() &&
        placements[instance.placement].footprint.same_devices(measured)) {
        placements[instance.placement].footprint.raise_to(measured);
    }
    if (instance.idle_since.has_value()) {
        place_idle(id, instance);
    }
    ceiling_fell_ = ceiling_fell_ || model.traits.pinned;
}

/// REQUIRES: `placement` is one of the model's.
void Scheduler::start(ModelId id, Model& model, const Placement& placement) {
    const InstanceId instance{++last_instance_.value};
    model.last = static_cast<std::size_t>(&placement - model.traits.placements.data());
    ledger_.reserve(instance, placement.footprint);
    instances_.emplace(instance, Instance{.model = id, .placement = model.last});
    effects_.emplace_back(StartInstance{instance, id, placement.footprint, model.last});
    enter_loading(id, model, instance);
}

void Scheduler::enter_loading(ModelId id, Model& model, InstanceId instance) {
    Instance& one = instances_.at(instance);
    one.state = InstanceState::loading;
    one.keep_alive = model.traits.keep_alive;
    one.since = now_;
    model.instance = instance;
    if (model.traits.pinned) {
        pinned_.insert(instance);
        replan_ = ceiling_fell_ = true;
    }
    update_place(id, model);
}

void Scheduler::stop(InstanceId id, StopReason reason) {
    Instance& instance = instances_.at(id);
    DROVER_ASSERT(instance.leases == 0 && instance.state != InstanceState::stopping &&
                  instance.state != InstanceState::falling_asleep);
    leave_idle(id, instance);
    set_retiring(id, instance, std::nullopt);
    pinned_.erase(id);
    const bool slept = instance.state == InstanceState::asleep;
    instance.state = InstanceState::stopping;
    instance.leaving = ledger_.holding(id);
    leaving_ += instance.leaving;
    effects_.emplace_back(StopInstance{id, reason});
    if (slept) {
        // Until it is gone its model has an instance, and cannot have another one.
        Model& model = models_.at(instance.model);
        model.instance = std::exchange(model.asleep, {});
        update_place(instance.model, model);
        replan_ = true;  // what it claimed is free again
    }
}

void Scheduler::expire() {
    while (!expiries_.empty() && expiries_.begin()->first <= now_) {
        stop(expiries_.begin()->second, StopReason::expired);
        replan_ = true;
    }
}

/// The next instant at which something may happen without any event.
std::optional<TimePoint> Scheduler::next_deadline() const {
    TimePoint at = expiries_.empty() ? TimePoint::max() : expiries_.begin()->first;
    if (!pauses_.empty()) {
        at = std::min(at, pauses_.begin()->first);
    }
    if (!line_.empty()) {
        at = std::min({at, line_.next_owed(), idle_.next_ripe()});
    }
    return at == TimePoint::max() ? std::nullopt : std::optional(at);
}

/// Asks to be woken when the next thing depends on time. A wake-up that turned out to be too early
/// costs less than moving the timer at every request.
void Scheduler::arm_timer() {
    const auto at = next_deadline();
    if (at.has_value() && (!armed_.has_value() || *at < *armed_)) {
        armed_ = at;
        effects_.emplace_back(WakeAt{*at});
    }
}

}  // namespace drover::memory

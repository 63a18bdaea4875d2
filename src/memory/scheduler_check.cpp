// The scheduler seen from outside: views, and the invariants that hold after every event.
#include <algorithm>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::memory {

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
    if (found == models_.end()) {
        return std::nullopt;
    }
    const Model& one = found->second;
    const auto instance = instances_.find(one.asleep ? one.asleep : one.instance);
    return instance == instances_.end() ? std::nullopt
                                        : std::optional(view(instance->first, instance->second));
}

InstanceView Scheduler::view(InstanceId id, const Instance& instance) const {
    return {.instance = id,
            .model = instance.model,
            .state = instance.state,
            .retiring = instance.retiring.has_value(),
            .held = ledger_.holding(id),
            .placement = instance.placement,
            .leases = instance.leases,
            .expires_at = instance.expires_at};
}

std::size_t Scheduler::waiting(ModelId model) const {
    const auto found = models_.find(model);
    return found == models_.end() ? 0 : found->second.queue.size();
}

void Scheduler::check_invariants() const {
    ledger_.check();
    Footprint leaving;
    Footprint retiring_held;
    Footprint busy_held;
    Footprint idle_held;
    std::size_t idle = 0;
    std::size_t expiring = 0;
    std::size_t shrinking = 0;
    for (const auto& [id, instance] : instances_) {
        check_instance(id, instance);
        idle += idle_.contains(id) ? 1 : 0;
        idle_held += idle_.contains(id) ? ledger_.holding(id) : Footprint();
        expiring += instance.expires_at.has_value() ? 1 : 0;
        retiring_held += instance.leases > 0 && instance.retiring.has_value() ? ledger_.holding(id)
                                                                              : Footprint();
        busy_held += instance.leases > 0 ? ledger_.holding(id) : Footprint();
        shrinking +=
            instance.retiring.has_value() && instance.retiring->reason == StopReason::shrunk ? 1
                                                                                             : 0;
        leaving += instance.leaving;
    }
    DROVER_ASSERT(leaving == leaving_);
    DROVER_ASSERT(retiring_held == retiring_held_ && busy_held == busy_held_);
    DROVER_ASSERT(shrinking == shrinking_);
    DROVER_ASSERT(idle == idle_.size() && idle_held == idle_.total());
    DROVER_ASSERT(expiring == expiries_.size());
    // Over the budget, everything that may leave at once is leaving.
    DROVER_ASSERT(overdrawn().empty() || !idle_.total().overlaps(overdrawn()));

    std::size_t waiting = 0;
    std::size_t in_line = 0;
    std::size_t paused = 0;
    for (const auto& [id, model] : models_) {
        waiting += model.queue.size();
        for (const Waiting& one : model.queue) {
            const Request& request = requests_.at(one.request);
            DROVER_ASSERT(request.model == id && !request.instance);
        }
        // No load is lost: whoever waits without an instance is in the line or will be once its
        // back-off is over, and nobody else.
        DROVER_ASSERT(!(model.place.has_value() && model.resumes_at.has_value()));
        DROVER_ASSERT((model.place.has_value() || model.resumes_at.has_value()) ==
                      is_missed(model));
        DROVER_ASSERT(!model.resumes_at.has_value() || pauses_.count({*model.resumes_at, id}) == 1);
        paused += model.resumes_at.has_value() ? 1 : 0;
        DROVER_ASSERT(!model.place.has_value() || line_.contains(*model.place));
        in_line += model.place.has_value() ? 1 : 0;
    }
    DROVER_ASSERT(waiting == waiting_);
    DROVER_ASSERT(in_line == line_.size());
    DROVER_ASSERT(paused == pauses_.size());
    DROVER_ASSERT(!draining_ || (waiting_ == 0 && line_.empty()));
    check_line();
    const auto deadline = next_deadline();
    DROVER_ASSERT(!deadline.has_value() || (armed_.has_value() && *armed_ <= *deadline));
}

void Scheduler::check_instance(InstanceId id, const Instance& instance) const {
    const Model& model = models_.at(instance.model);
    const bool ready = instance.state == InstanceState::ready;
    const bool sleeps = instance.state == InstanceState::asleep;
    // So no model has two.
    DROVER_ASSERT((sleeps ? model.asleep : model.instance) == id);
    DROVER_ASSERT(!model.asleep || !model.instance);
    DROVER_ASSERT(instance.state != InstanceState::stopping ||
                  instance.leaving == ledger_.holding(id));
    DROVER_ASSERT(ready || instance.leases == 0);
    DROVER_ASSERT(instance.idle_since.has_value() == ((ready && instance.leases == 0) || sleeps));
    DROVER_ASSERT(idle_.contains(id) ==
                  (instance.idle_since.has_value() && (!model.traits.pinned || sleeps)));
    DROVER_ASSERT(!instance.expires_at.has_value() || idle_.contains(id));
    DROVER_ASSERT(retiring_.contains(id) == instance.retiring.has_value());
    DROVER_ASSERT(pinned_.contains(id) ==
                  (model.traits.pinned && (ready || instance.state == InstanceState::loading)));
    // Somebody waits for an instance that is ready only when it is full, or was asked to leave
    // before that request came.
    DROVER_ASSERT(model.queue.empty() || !ready || instance.leases >= model.traits.lease_limit ||
                  (instance.retiring.has_value() &&
                   model.queue.front().ticket >= instance.retiring->serves_before));
}

/// Whoever is first in line cannot start now, and something is under way that will change that.
void Scheduler::check_line() const {
    line_.visit([this](const WaitingLine::Place& place, bool) {
        const Model& model = models_.at(place.model);
        const auto& placements = model.traits.placements;
        DROVER_ASSERT(std::any_of(
            placements.begin(), placements.end(), [most = ceiling()](const Placement& one) {
                return one.footprint.fits(most);
            }));
        PlanningPass fresh{.ceiling = ceiling()};
        look_at_placements(model, fresh);
        DROVER_ASSERT(free_placement(free_for(fresh), fresh) == nullptr);
        bool under_way = armed_.has_value();
        for (const auto& [id, instance] : instances_) {
            const bool still = instance.leases == 0 && (instance.state == InstanceState::ready ||
                                                        instance.state == InstanceState::asleep);
            under_way = under_way || !still;
        }
        DROVER_ASSERT(under_way);
        return false;
    });
}

}  // namespace drover::memory

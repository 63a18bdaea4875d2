#include "memory/policy_selector.hpp"

#include <cmath>

namespace drover::memory {

namespace {

/// Visits after which a load counts 1/e in a policy's cost: long enough to tell policies apart,
/// short enough to follow a change of traffic within the hour.
constexpr double kMemoryVisits = 400;

/// Another policy must be better by this part: changes between equals cost loads.
constexpr double kHysteresis = 0.02;

}  // namespace

bool PolicySelector::note(const ShadowVisit& visit, const Usage& usage, const Footprint& budget) {
    static const double kDecay = std::exp(-1 / kMemoryVisits);
    std::size_t best = current_;
    for (std::size_t i = 0; i < shadows_.size(); ++i) {
        shadows_[i].cost *= kDecay;
        serve(shadows_[i], kEvictionPolicies[i], visit, usage, budget);
        if (shadows_[i].cost < shadows_[best].cost) {
            best = i;
        }
    }
    if (shadows_[best].cost >= shadows_[current_].cost * (1 - kHysteresis)) {
        return false;
    }
    current_ = best;
    return true;
}

void PolicySelector::serve(Shadow& shadow,
                           EvictionPolicy policy,
                           const ShadowVisit& visit,
                           const Usage& usage,
                           const Footprint& budget) {
    const LeavingRank rank{.priority = visit.priority,
                           .value = keep_value(policy, usage, visit.load_time, visit.needed),
                           .last_used = visit.at,
                           .instance = InstanceId{visit.model.value}};
    if (shadow.residents.total().fits(budget) && shadow.residents.move(rank, visit.needed)) {
        return;
    }
    if (shadow.residents.contains(rank.instance)) {
        shadow.residents.remove(rank.instance);  // and others leave: the budget shrank
    } else {
        shadow.cost += std::chrono::duration<double>(visit.load_time).count();
    }
    if (!visit.needed.fits(budget)) {
        return;
    }
    const Footprint missing = visit.needed.lacks(budget - shadow.residents.total());
    if (!missing.empty()) {
        const ValueScale scale = value_scale(policy, usage.last_visit());
        for (const InstanceId victim : shadow.residents.choose(missing, scale).instances) {
            shadow.residents.remove(victim);
        }
    }
    shadow.residents.put(rank, visit.needed);
}

}  // namespace drover::memory

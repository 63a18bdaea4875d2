#include "memory/eviction.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/assert.hpp"

namespace drover::memory {

namespace {

/// Nothing is free to bring back; also keeps the logarithm finite for a load time of zero.
constexpr double kLoadSecondsMin = 1e-3;

}  // namespace

bool LeavingRank::operator<(const LeavingRank& other) const {
    return std::tie(stays, priority, value, last_used, instance) <
           std::tie(other.stays, other.priority, other.value, other.last_used, other.instance);
}

double keep_value(const Usage& usage, Duration load_time, const Footprint& held) {
    const double cost = std::max(std::chrono::duration<double>(load_time).count(), kLoadSecondsMin);
    const auto bytes = static_cast<double>(std::max<std::int64_t>(held.total().count(), 1));
    return usage.rank() + std::log(cost / bytes);
}

void VictimChoice::offer(const Candidate& candidate) {
    if (!enough() && candidate.held.overlaps(missing_.lacks(freed_))) {
        freed_ += candidate.held;
        chosen_.push_back(candidate);
    }
}

std::vector<InstanceId> VictimChoice::take() const {
    std::vector<InstanceId> victims;
    Footprint freed = freed_;
    // A later, larger victim may make earlier small ones unnecessary: spare the most valuable of
    // them.
    for (auto candidate = chosen_.rbegin(); candidate != chosen_.rend(); ++candidate) {
        if (missing_.fits(freed - candidate->held)) {
            freed -= candidate->held;
        } else {
            victims.push_back(candidate->rank.instance);
        }
    }
    std::reverse(victims.begin(), victims.end());
    return victims;
}

void IdleInstances::put(const Candidate& candidate, TimePoint ripe_at) {
    const InstanceId instance = candidate.rank.instance;
    DROVER_ASSERT(places_.emplace(instance, Place{candidate, ripe_at}).second);
    order_.insert(candidate.rank);
    ripening_.emplace(ripe_at, instance);
    total_ += candidate.held;
}

void IdleInstances::remove(InstanceId instance) {
    const auto found = places_.find(instance);
    if (found == places_.end()) {
        return;
    }
    const Place& place = found->second;
    order_.erase(place.candidate.rank);
    total_ -= place.candidate.held;
    if (place.ripe_at.has_value()) {
        ripening_.erase({*place.ripe_at, instance});
    }
    places_.erase(found);
}

void IdleInstances::age(TimePoint now) {
    while (!ripening_.empty() && ripening_.begin()->first <= now) {
        places_.at(ripening_.begin()->second).ripe_at.reset();
        ripening_.erase(ripening_.begin());
    }
}

std::vector<InstanceId> IdleInstances::choose(const Footprint& missing, bool even_young) const {
    if (!missing.fits(total_)) {
        return {};
    }
    std::vector<InstanceId> victims = choose_what_helps(missing);
    // Not others in their place: those are worth more, and youth is short.
    const bool too_young = std::any_of(victims.begin(), victims.end(), [this](InstanceId victim) {
        return places_.at(victim).ripe_at.has_value();
    });
    return too_young && !even_young ? std::vector<InstanceId>() : victims;
}

std::vector<InstanceId> IdleInstances::choose_what_helps(const Footprint& missing) const {
    VictimChoice choice(missing);
    for (auto next = order_.begin(); next != order_.end() && !choice.enough(); ++next) {
        choice.offer(places_.at(next->instance).candidate);
    }
    return choice.take();
}

}  // namespace drover::memory

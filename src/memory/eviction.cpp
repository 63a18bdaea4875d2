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
    young_.emplace(ripe_at, instance);
    young_ranks_.insert(candidate.rank);
    young_held_ += candidate.held;
}

void IdleInstances::remove(InstanceId instance) {
    const auto found = places_.find(instance);
    if (found == places_.end()) {
        return;
    }
    const Place& place = found->second;
    if (place.ripe_at.has_value()) {
        young_.erase({*place.ripe_at, instance});
        young_ranks_.erase(place.candidate.rank);
        young_held_ -= place.candidate.held;
    } else {
        ripe_.erase(place.candidate.rank);
        ripe_held_ -= place.candidate.held;
    }
    places_.erase(found);
}

void IdleInstances::age(TimePoint now) {
    while (!young_.empty() && young_.begin()->first <= now) {
        Place& place = places_.at(young_.begin()->second);
        young_.erase(young_.begin());
        young_ranks_.erase(place.candidate.rank);
        young_held_ -= place.candidate.held;
        ripe_.insert(place.candidate.rank);
        ripe_held_ += place.candidate.held;
        place.ripe_at.reset();
    }
}

std::vector<InstanceId> IdleInstances::choose(const Footprint& missing, bool even_young) const {
    if (!missing.fits(even_young ? total() : ripe_held_)) {
        return {};
    }
    return choice(missing, even_young).take();
}

std::vector<InstanceId> IdleInstances::choose_what_helps(const Footprint& missing) const {
    return choice(missing, true).take();
}

VictimChoice IdleInstances::choice(const Footprint& missing, bool even_young) const {
    VictimChoice choice(missing);
    auto ripe = ripe_.begin();
    auto young = even_young ? young_ranks_.begin() : young_ranks_.end();
    while (!choice.enough() && (ripe != ripe_.end() || young != young_ranks_.end())) {
        const bool take_ripe =
            young == young_ranks_.end() || (ripe != ripe_.end() && *ripe < *young);
        const LeavingRank& next = take_ripe ? *ripe++ : *young++;
        choice.offer(places_.at(next.instance).candidate);
    }
    return choice;
}

}  // namespace drover::memory

#include "memory/eviction.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "base/assert.hpp"

namespace drover::memory {

namespace {

/// Nothing is free to bring back; also keeps the logarithm finite for a load time of zero.
constexpr double kLoadSecondsMin = 1e-3;

std::size_t memory_of(EvictionPolicy policy) {
    DROVER_ASSERT(policy != EvictionPolicy::lru);
    return static_cast<std::size_t>(policy) - 1;
}

}  // namespace

std::string_view name_of(EvictionPolicy policy) {
    switch (policy) {
        case EvictionPolicy::lru:
            return "lru";
        case EvictionPolicy::gdsf_4:
            return "gdsf-4";
        case EvictionPolicy::gdsf_8:
            return "gdsf-8";
        case EvictionPolicy::gdsf_64:
            return "gdsf-64";
        case EvictionPolicy::gdsf_512:
            return "gdsf-512";
    }
    DROVER_UNREACHABLE();
}

bool LeavingRank::operator<(const LeavingRank& other) const {
    return std::tie(stays, priority, value, last_used, instance) <
           std::tie(other.stays, other.priority, other.value, other.last_used, other.instance);
}

double keep_value(EvictionPolicy policy,
                  const Usage& usage,
                  Duration load_time,
                  const Footprint& held) {
    if (policy == EvictionPolicy::lru) {
        return static_cast<double>(usage.last_visit());
    }
    const double cost = std::max(std::chrono::duration<double>(load_time).count(), kLoadSecondsMin);
    const auto bytes = static_cast<double>(std::max<std::int64_t>(held.total().count(), 1));
    return usage.rank(memory_of(policy)) + std::log(cost / bytes);
}

ValueScale value_scale(EvictionPolicy policy, Visit now) {
    if (policy == EvictionPolicy::lru) {
        return std::nullopt;
    }
    return static_cast<double>(now) / Usage::kMemories[memory_of(policy)];
}

double VictimChoice::density(const LeavingRank& rank) const {
    return scale_.has_value() ? std::exp(rank.value - *scale_) : 0;
}

void VictimChoice::set_gap(const Footprint& gap) {
    gap_ = gap;
    gap_bytes_ = static_cast<double>(gap.total().count());
}

/// Whoever closes the gap frees at least as much as it is, at no less a byte than those before.
void VictimChoice::set_value_limit() {
    if (closing_.has_value() && scale_.has_value()) {
        value_limit_ = *scale_ + std::log(std::max(closing_loss_ - prefix_loss_, 0.0) / gap_bytes_);
    }
}

/// Nor does anybody after it.
bool VictimChoice::improves_nothing(const LeavingRank& rank) const {
    if (!closing_.has_value()) {
        return false;
    }
    const LeavingRank& closing = *closing_->rank;
    const bool same_class = closing.stays == rank.stays && closing.priority == rank.priority;
    return !same_class || !scale_.has_value() || rank.value >= value_limit_;
}

bool VictimChoice::offer(const LeavingRank& rank, const Footprint& held) {
    if (gap_.empty() || improves_nothing(rank)) {
        return false;
    }
    if (!held.overlaps(gap_)) {
        return true;
    }
    const auto bytes = static_cast<double>(held.total().count());
    const bool closes = gap_.fits(held);
    // Without its exact worth, which takes long to compute.
    if (closes && closing_.has_value() && prefix_loss_ + last_density_ * bytes >= closing_loss_) {
        return true;
    }
    last_density_ = density(rank);
    const Offered one{&rank, &held, last_density_ * bytes};
    const double with_this = prefix_loss_ + one.loss;
    if (!closes) {
        prefix_.push_back(one);
        set_gap(gap_.lacks(held));
        prefix_loss_ = with_this;
    } else if (!closing_.has_value() || with_this < closing_loss_) {
        closing_ = one;
        closed_after_ = prefix_.size();
        closing_loss_ = with_this;
    }
    set_value_limit();
    return true;
}

Victims VictimChoice::only(const Offered& one) const {
    return {.instances = {one.rank->instance},
            .priority = one.rank->priority,
            .loss = scale_.has_value() ? one.loss : one.rank->value};
}

Victims VictimChoice::take() const {
    if (closing_.has_value() && closed_after_ == 0) {
        return only(*closing_);
    }
    std::vector<Offered> chosen = prefix_;
    if (closing_.has_value()) {
        chosen.resize(closed_after_);
        chosen.push_back(*closing_);
    }
    Victims victims;
    for (const Offered& one : without_unnecessary(std::move(chosen))) {
        const bool first = victims.empty();
        victims.instances.push_back(one.rank->instance);
        victims.priority =
            first ? one.rank->priority : std::max(victims.priority, one.rank->priority);
        const double highest = first ? one.rank->value : std::max(victims.loss, one.rank->value);
        victims.loss = scale_.has_value() ? victims.loss + one.loss : highest;
    }
    return victims;
}

/// A later, larger victim may make earlier small ones unnecessary: the most valuable of them are
/// spared. In the order of their ranks.
std::vector<VictimChoice::Offered> VictimChoice::without_unnecessary(
    std::vector<Offered> chosen) const {
    if (chosen.size() <= 1) {
        return chosen;
    }
    Footprint freed;
    for (const Offered& one : chosen) {
        freed += *one.held;
    }
    if (scale_.has_value()) {
        std::stable_sort(chosen.begin(), chosen.end(), [](const Offered& a, const Offered& b) {
            return std::tuple(a.rank->stays, a.rank->priority, a.loss) <
                   std::tuple(b.rank->stays, b.rank->priority, b.loss);
        });
    }
    std::vector<Offered> leaving;
    for (auto one = chosen.rbegin(); one != chosen.rend(); ++one) {
        if (enough() && missing_.fits(freed - *one->held)) {
            freed -= *one->held;
        } else {
            leaving.push_back(*one);
        }
    }
    std::sort(leaving.begin(), leaving.end(), [](const Offered& a, const Offered& b) {
        return *a.rank < *b.rank;
    });
    return leaving;
}

void LeavingOrder::put(const LeavingRank& rank, const Footprint& held) {
    const auto [place, is_new] = order_.emplace(rank, held);
    DROVER_ASSERT(is_new && places_.emplace(rank.instance, place).second);
    total_ += held;
}

bool LeavingOrder::move(const LeavingRank& rank, const Footprint& held) {
    const auto found = places_.find(rank.instance);
    if (found == places_.end()) {
        return false;
    }
    auto node = order_.extract(found->second);
    node.key() = rank;
    total_ += held - node.mapped();
    node.mapped() = held;
    found->second = order_.insert(std::move(node)).position;
    return true;
}

void LeavingOrder::remove(InstanceId instance) {
    const auto found = places_.find(instance);
    if (found == places_.end()) {
        return;
    }
    total_ -= found->second->second;
    order_.erase(found->second);
    places_.erase(found);
}

Victims LeavingOrder::choose(const Footprint& missing, ValueScale scale) const {
    VictimChoice choice(missing, scale);
    for (const auto& [rank, held] : order_) {
        if (!choice.offer(rank, held)) {
            break;
        }
    }
    return choice.take();
}

void IdleInstances::put(const LeavingRank& rank,
                        const Footprint& held,
                        std::optional<TimePoint> ripe_at) {
    order_.put(rank, held);
    if (ripe_at.has_value()) {
        young_.emplace(rank.instance, *ripe_at);
        ripening_.emplace(*ripe_at, rank.instance);
    }
}

void IdleInstances::remove(InstanceId instance) {
    order_.remove(instance);
    if (const auto young = young_.find(instance); young != young_.end()) {
        ripening_.erase({young->second, instance});
        young_.erase(young);
    }
}

void IdleInstances::age(TimePoint now) {
    while (!ripening_.empty() && ripening_.begin()->first <= now) {
        young_.erase(ripening_.begin()->second);
        ripening_.erase(ripening_.begin());
    }
}

Victims IdleInstances::choose(const Footprint& missing, ValueScale scale, bool even_young) const {
    if (!missing.fits(total())) {
        return {};
    }
    Victims victims = order_.choose(missing, scale);
    // Not others in their place: those are worth more, and youth is short.
    const bool too_young =
        std::any_of(victims.instances.begin(), victims.instances.end(), [this](InstanceId victim) {
            return young_.contains(victim);
        });
    return too_young && !even_young ? Victims() : victims;
}

}  // namespace drover::memory

// Who leaves when memory is needed. Pure; not thread-safe.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"
#include "memory/usage.hpp"

namespace drover::memory {

/// The place of an instance in the order of leaving: the smallest leaves first. It does not depend
/// on the present time, so instances can be kept sorted.
struct LeavingRank {
    bool stays = true;  ///< false: it already serves nobody new, for somebody else's sake
    std::int32_t priority = 0;
    double value = 0;  ///< see keep_value
    TimePoint last_used{};
    InstanceId instance{};

    bool operator<(const LeavingRank& other) const;
};

/// Worth of keeping an instance, per byte: chance of reuse x cost to bring back / bytes freed
/// (GreedyDual-Size-Frequency, Cherkasova 1998, with a decaying frequency in place of its clock),
/// as a logarithm that compares alike at all times.
double keep_value(const Usage& usage, Duration load_time, const Footprint& held);

/// An instance that may leave.
struct Candidate {
    LeavingRank rank;
    Footprint held;
};

/// Chooses who must leave to free at least `missing`: the least valuable, but none that frees
/// nothing of it, and none that later ones make unnecessary.
class VictimChoice {
  public:
    explicit VictimChoice(const Footprint& missing) : missing_(missing) {}

    bool enough() const { return missing_.fits(freed_); }
    /// Offers the next candidate; least valuable first.
    void offer(const Candidate& candidate);
    /// The choice, least valuable first. When it is not enough: all that help.
    std::vector<InstanceId> take() const;

  private:
    Footprint missing_;
    Footprint freed_;
    std::vector<Candidate> chosen_;
};

/// The idle instances that may leave, kept in order. A young one is protected until it is ripe, but
/// not against a model that is owed memory.
class IdleInstances {
  public:
    /// REQUIRES: the instance is not in.
    void put(const Candidate& candidate, TimePoint ripe_at);
    /// Does nothing when the instance is not in.
    void remove(InstanceId instance);
    bool contains(InstanceId instance) const { return places_.contains(instance); }

    /// Ripens those whose time has come.
    void age(TimePoint now);
    /// When the next one ripens; max() when there is none.
    TimePoint next_ripe() const {
        return young_.empty() ? TimePoint::max() : young_.begin()->first;
    }

    /// The instances to stop so that `missing` is freed, see VictimChoice; empty when they do not
    /// suffice. O(1) then, else O(victims). They stay in until removed.
    std::vector<InstanceId> choose(const Footprint& missing, bool even_young) const;
    /// The same with young ones too, and those that help when they do not suffice.
    std::vector<InstanceId> choose_what_helps(const Footprint& missing) const;

    /// What all of them hold.
    Footprint total() const { return ripe_held_ + young_held_; }
    std::size_t size() const { return places_.size(); }

  private:
    struct Place {
        Candidate candidate;
        std::optional<TimePoint> ripe_at;  ///< unset: ripe
    };

    VictimChoice choice(const Footprint& missing, bool even_young) const;

    std::map<InstanceId, Place> places_;
    std::set<LeavingRank> ripe_;
    std::set<LeavingRank> young_ranks_;
    std::set<std::pair<TimePoint, InstanceId>> young_;
    Footprint ripe_held_;
    Footprint young_held_;
};

}  // namespace drover::memory

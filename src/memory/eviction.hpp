// Who leaves when memory is needed. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"
#include "memory/usage.hpp"

namespace drover::memory {

/// How the worth of keeping an instance is judged. None is the best for all traffic, see
/// policy_selector.hpp.
enum class EvictionPolicy : std::uint8_t {
    lru,      ///< the longest unused leaves
    gdsf_4,   ///< chance of reuse x cost to bring back / bytes freed, chance by the last 4 visits
    gdsf_8,   ///< by the last 8
    gdsf_64,  ///< by the last 64
    gdsf_512  ///< by the last 512
};
inline constexpr std::array kEvictionPolicies = {EvictionPolicy::lru,
                                                 EvictionPolicy::gdsf_4,
                                                 EvictionPolicy::gdsf_8,
                                                 EvictionPolicy::gdsf_64,
                                                 EvictionPolicy::gdsf_512};

std::string_view name_of(EvictionPolicy policy);

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

/// Worth of keeping an instance, per byte, as a logarithm that compares alike at all times. LRU:
/// the last visit. Else GreedyDual-Size-Frequency (Cherkasova 1998) with a decaying count in place
/// of its clock.
double keep_value(EvictionPolicy policy,
                  const Usage& usage,
                  Duration load_time,
                  const Footprint& held);

/// Which keep_value is worth 1 a byte at present: so the losses of several instances can be added.
/// Unset: only the order counts.
using ValueScale = std::optional<double>;
ValueScale value_scale(EvictionPolicy policy, Visit now);

/// An instance that may leave.
struct Candidate {
    LeavingRank rank;
    Footprint held;
};

/// Those who leave, the least valuable first, and what is lost with them.
struct Victims {
    std::vector<InstanceId> instances{};
    std::int32_t priority = 0;  ///< the highest among them
    double loss = 0;            ///< without a scale: the highest value among them

    bool empty() const { return instances.empty(); }
    bool cheaper_than(const Victims& other) const {
        if (empty() || other.empty()) {
            return empty() && !other.empty();
        }
        return priority != other.priority ? priority < other.priority : loss < other.loss;
    }
};

/// Chooses who must leave to free at least `missing`, with little loss: a greedy choice of at most
/// twice the smallest possible loss (the knapsack of minimal value, Csirik 1991), and none that
/// frees nothing of it, or that others make unnecessary. Priorities are strict: nobody of a higher
/// one leaves when those below suffice. Without a scale the first that suffice are taken.
class VictimChoice {
  public:
    VictimChoice(const Footprint& missing, ValueScale scale) : missing_(missing), scale_(scale) {
        set_gap(missing.positive());
    }

    /// Offers the next candidate; smallest rank first. False when no later one can be better. Both
    /// must stay where they are as long as the choice is used.
    bool offer(const LeavingRank& rank, const Footprint& held);
    bool enough() const { return closing_.has_value() || missing_.empty(); }
    /// The choice. When it is not enough: all that help.
    Victims take() const;

  private:
    struct Offered {
        const LeavingRank* rank;
        const Footprint* held;
        double loss;  ///< zero without a scale
    };

    /// What a byte of it is worth.
    double density(const LeavingRank& rank) const;
    bool improves_nothing(const LeavingRank& rank) const;
    void set_gap(const Footprint& gap);
    void set_value_limit();
    Victims only(const Offered& one) const;
    std::vector<Offered> without_unnecessary(std::vector<Offered> chosen) const;

    Footprint missing_;
    ValueScale scale_;
    std::vector<Offered> prefix_;  ///< in order, none of which closes the gap
    Footprint gap_{};              ///< what they leave missing
    double gap_bytes_ = 0;         ///< on all devices
    double prefix_loss_ = 0;
    double last_density_ = 0;  ///< of one offered before: those after it are worth no less a byte
    double value_limit_ = 0;   ///< once the gap is closed: from here on nobody closes it for less
    std::optional<Offered> closing_{};  ///< closes the gap that the first `closed_after_` leave
    std::size_t closed_after_ = 0;
    double closing_loss_ = 0;
};

/// Instances in the order in which they leave.
class LeavingOrder {
  public:
    /// REQUIRES: the instance is not in.
    void put(const LeavingRank& rank, const Footprint& held);
    /// Gives the instance another place, and what it holds now. False: it is not in.
    bool move(const LeavingRank& rank, const Footprint& held);
    /// Does nothing when the instance is not in.
    void remove(InstanceId instance);
    bool contains(InstanceId instance) const { return places_.contains(instance); }

    /// Those to stop so that `missing` is freed, or that help when all do not suffice, see
    /// VictimChoice. They stay in until removed.
    Victims choose(const Footprint& missing, ValueScale scale) const;

    /// What all of them hold.
    const Footprint& total() const { return total_; }
    std::size_t size() const { return places_.size(); }

  private:
    std::map<LeavingRank, Footprint> order_;
    std::unordered_map<InstanceId, std::map<LeavingRank, Footprint>::iterator> places_;
    Footprint total_;
};

/// The idle instances that may leave, kept in order. A young one is protected until it is ripe, but
/// not against a model that is owed memory.
class IdleInstances {
  public:
    /// `ripe_at`: unset, it is ripe already. REQUIRES: the instance is not in.
    void put(const LeavingRank& rank, const Footprint& held, std::optional<TimePoint> ripe_at);
    /// Does nothing when the instance is not in.
    void remove(InstanceId instance);
    bool contains(InstanceId instance) const { return order_.contains(instance); }

    /// Ripens those whose time has come.
    void age(TimePoint now);
    /// When the next one ripens; max() when there is none.
    TimePoint next_ripe() const {
        return ripening_.empty() ? TimePoint::max() : ripening_.begin()->first;
    }

    /// The instances to stop so that `missing` is freed, see VictimChoice. They stay in until
    /// removed. Empty when all of them do not suffice, or when one of the choice is young, unless
    /// `even_young`.
    Victims choose(const Footprint& missing, ValueScale scale, bool even_young) const;
    /// The same with young ones, and those that help when all do not suffice.
    Victims choose_what_helps(const Footprint& missing, ValueScale scale) const {
        return order_.choose(missing, scale);
    }

    /// What all of them hold.
    const Footprint& total() const { return order_.total(); }
    std::size_t size() const { return order_.size(); }

  private:
    LeavingOrder order_;
    std::unordered_map<InstanceId, TimePoint> young_;  ///< until when
    std::set<std::pair<TimePoint, InstanceId>> ripening_;
};

}  // namespace drover::memory

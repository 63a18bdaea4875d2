// The models that wait for memory, in the order in which it is given to them. Pure; not
// thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <utility>

#include "base/ids.hpp"
#include "base/units.hpp"

namespace drover::memory {

/// Models that are wanted and have no instance. First those that are owed memory, the longest owed
/// first: nobody starves, whatever the priorities. Then the others by priority, then by age.
class WaitingLine {
  public:
    struct Place {
        std::int32_t importance = 0;  ///< minus the priority
        TimePoint since{};            ///< of the oldest waiting request; max(): a load without any
        TimePoint owed_at{};          ///< when it stops being overtaken; max(): never
        ModelId model{};
        auto operator<=>(const Place&) const = default;
    };

    void put(const Place& place) {
        rest_.insert(place);
        if (place.owed_at != TimePoint::max()) {
            becoming_.insert({place.owed_at, place});
        }
    }

    void remove(const Place& place) {
        if (rest_.erase(place) != 0) {
            becoming_.erase({place.owed_at, place});
        } else {
            owed_.erase({place.owed_at, place});
        }
    }

    /// Moves up those that have waited long enough to be owed memory.
    void age(TimePoint now) {
        while (!becoming_.empty() && becoming_.begin()->first <= now) {
            rest_.erase(becoming_.begin()->second);
            owed_.insert(becoming_.extract(becoming_.begin()));
        }
    }

    bool empty() const { return owed_.empty() && rest_.empty(); }
    bool contains(const Place& place) const {
        return rest_.contains(place) || owed_.contains({place.owed_at, place});
    }
    std::size_t size() const { return owed_.size() + rest_.size(); }
    /// When the next model becomes owed; max() when none will.
    TimePoint next_owed() const {
        return becoming_.empty() ? TimePoint::max() : becoming_.begin()->first;
    }

    /// Calls `visit(place, owed)` in order until it returns false. It may remove the place it is
    /// given, and later ones.
    template <typename Visit>
    void visit(Visit visit) const {
        for (auto next = owed_.begin(); next != owed_.end();) {
            const auto [owed_at, place] = *next;
            if (!visit(place, true)) {
                return;
            }
            next = owed_.upper_bound({owed_at, place});
        }
        for (auto next = rest_.begin(); next != rest_.end();) {
            const Place place = *next;
            if (!visit(place, false)) {
                return;
            }
            next = rest_.upper_bound(place);
        }
    }

  private:
    using Owed = std::set<std::pair<TimePoint, Place>>;

    Owed owed_;
    std::set<Place> rest_;
    Owed becoming_;  ///< those of rest_ that will be owed
};

}  // namespace drover::memory

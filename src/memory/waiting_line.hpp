// The models that wait for memory, in the order in which it is given to them. Pure; not
// thread-safe.
#pragma once

#include <compare>
#include <cstdint>
#include <iterator>
#include <set>

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
        std::uint64_t ticket =
            0;  ///< of the oldest waiting request: those of one moment are in order
        ModelId model{};
        auto operator<=>(const Place&) const = default;
    };

    void put(const Place& place) {
        rest_.insert(place);
        if (place.owed_at != TimePoint::max()) {
            becoming_.insert(owed(place));
        }
    }

    void remove(const Place& place) {
        ++removals_;
        if (rest_.erase(place) != 0) {
            becoming_.erase(owed(place));
        } else {
            owed_.erase(owed(place));
        }
    }

    /// Moves up those that have waited long enough to be owed memory.
    void age(TimePoint now) {
        while (!becoming_.empty() && becoming_.begin()->place.owed_at <= now) {
            rest_.erase(becoming_.begin()->place);
            owed_.insert(becoming_.extract(becoming_.begin()));
        }
    }

    bool empty() const { return owed_.empty() && rest_.empty(); }
    bool contains(const Place& place) const {
        return rest_.contains(place) || owed_.contains(owed(place));
    }
    std::size_t size() const { return owed_.size() + rest_.size(); }
    /// When the next model becomes owed; max() when none will.
    TimePoint next_owed() const {
        return becoming_.empty() ? TimePoint::max() : becoming_.begin()->place.owed_at;
    }

    /// Calls `visit(place, owed)` in order until it returns false. It may remove the place it is
    /// given, and later ones.
    template <typename Visit>
    void visit(Visit visit) const {
        const auto each = [&](const auto& places, const auto& one_of, bool owed) {
            for (auto next = places.begin(); next != places.end();) {
                const auto place = *next;
                const std::uint64_t before = removals_;
                if (!visit(one_of(place), owed)) {
                    return false;
                }
                next = before == removals_ ? std::next(next) : places.upper_bound(place);
            }
            return true;
        };
        const auto owed_place = [](const OwedPlace& one) {
            return one.place;
        };
        const auto itself = [](const Place& place) {
            return place;
        };
        if (each(owed_, owed_place, true)) {
            each(rest_, itself, false);
        }
    }

  private:
    /// Sorted by when it is owed, then by who came first, whatever the priorities.
    struct OwedPlace {
        TimePoint owed_at;
        std::uint64_t ticket;
        Place place;
        auto operator<=>(const OwedPlace&) const = default;
    };

    static OwedPlace owed(const Place& place) { return {place.owed_at, place.ticket, place}; }

    std::set<OwedPlace> owed_;
    std::set<Place> rest_;
    std::set<OwedPlace> becoming_;  ///< those of rest_ that will be owed
    std::uint64_t removals_ = 0;    ///< a visit goes on where it was as long as there are none
};

}  // namespace drover::memory

// Virtual time, for simulations: what happens when. Deterministic: what is due at one instant
// happens in the order in which it was put in. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "base/units.hpp"

namespace drover {

/// A clock that jumps from one happening to the next.
class Agenda {
  public:
    TimePoint now() const { return now_; }
    bool empty() const { return entries_.empty(); }
    /// When the next thing happens. REQUIRES: not empty.
    TimePoint next() const { return entries_.front().at; }

    /// REQUIRES: `delay` is not negative.
    void after(Duration delay, std::function<void()> act) {
        entries_.push_back({now_ + delay, ++order_, std::move(act)});
        std::push_heap(entries_.begin(), entries_.end(), &is_later);
    }

    /// Jumps to the next happening and lets it happen. REQUIRES: not empty.
    void step() {
        std::pop_heap(entries_.begin(), entries_.end(), &is_later);
        const Entry entry = std::move(entries_.back());
        entries_.pop_back();
        now_ = entry.at;
        entry.act();
    }

  private:
    struct Entry {
        TimePoint at;
        std::uint64_t order;
        std::function<void()> act;
    };

    static bool is_later(const Entry& a, const Entry& b) {
        return a.at != b.at ? a.at > b.at : a.order > b.order;
    }

    TimePoint now_{};
    std::uint64_t order_ = 0;
    std::vector<Entry> entries_;  // a heap, the next one in front
};

}  // namespace drover

// Which model a conversation had. Pure; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/assert.hpp"

namespace drover::router {

/// The last `Value` for a key, of the `limit` keys that were used last.
template <typename Value>
class RecentTable {
  public:
    explicit RecentTable(std::size_t limit) : limit_(limit) { DROVER_ASSERT(limit > 0); }

    std::optional<Value> find(std::uint64_t key) {
        const auto found = places_.find(key);
        if (found == places_.end()) {
            return std::nullopt;
        }
        entries_.splice(entries_.begin(), entries_, found->second);
        return found->second->second;
    }

    void put(std::uint64_t key, Value value) {
        if (const auto found = places_.find(key); found != places_.end()) {
            found->second->second = std::move(value);
            entries_.splice(entries_.begin(), entries_, found->second);
            return;
        }
        if (entries_.size() == limit_) {
            places_.erase(entries_.back().first);
            entries_.pop_back();
        }
        entries_.emplace_front(key, std::move(value));
        places_[key] = entries_.begin();
    }

    std::size_t size() const { return entries_.size(); }

  private:
    using Entries = std::list<std::pair<std::uint64_t, Value>>;

    std::size_t limit_;
    Entries entries_;  ///< the last used first
    std::unordered_map<std::uint64_t, typename Entries::iterator> places_;
};

}  // namespace drover::router

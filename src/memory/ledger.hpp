// The account of every byte: what is held, by whom, of which budget. Pure; not thread-safe.
#pragma once

#include <map>

#include "base/assert.hpp"
#include "base/ids.hpp"
#include "memory/footprint.hpp"

namespace drover::memory {

/// Keeps the sum of all holdings beside the holdings. A reservation never goes over the budget; a
/// measurement or a smaller budget may, and `over_budget` says so until enough is released.
class Ledger {
  public:
    explicit Ledger(const Footprint& budget) : budget_(budget) {}

    const Footprint& budget() const { return budget_; }
    const Footprint& held() const { return held_; }
    Footprint available() const { return budget_ - held_; }
    bool over_budget() const { return !held_.fits(budget_); }

    void set_budget(const Footprint& budget) { budget_ = budget; }

    /// REQUIRES: `bytes` fits what is available, and the instance holds nothing yet.
    void reserve(InstanceId instance, const Footprint& bytes) {
        DROVER_ASSERT(bytes.fits(available()));
        DROVER_ASSERT(holdings_.emplace(instance, bytes).second);
        held_ += bytes;
    }

    /// REQUIRES: `bytes` fits what is available, and the instance holds something.
    void grow(InstanceId instance, const Footprint& bytes) {
        DROVER_ASSERT(bytes.fits(available()));
        held_ += bytes;
        holdings_.at(instance) += bytes;
    }

    /// The truth about what it holds. REQUIRES: it holds something.
    void correct(InstanceId instance, const Footprint& bytes) {
        Footprint& holding = holdings_.at(instance);
        held_ += bytes - holding;
        holding = bytes;
    }

    /// Its memory is back. REQUIRES: it holds something.
    void release(InstanceId instance) {
        const auto holding = holdings_.find(instance);
        DROVER_ASSERT(holding != holdings_.end());
        held_ -= holding->second;
        holdings_.erase(holding);
    }

    const Footprint& holding(InstanceId instance) const { return holdings_.at(instance); }

    /// Aborts unless the sum is the sum.
    void check() const {
        Footprint sum;
        for (const auto& [instance, bytes] : holdings_) {
            sum += bytes;
        }
        DROVER_ASSERT(sum == held_);
    }

  private:
    Footprint budget_;
    Footprint held_;
    std::map<InstanceId, Footprint> holdings_;
};

}  // namespace drover::memory

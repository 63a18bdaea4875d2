// What other programs leave of the budget. Pure; one thread.
#pragma once

#include <algorithm>
#include <optional>

#include "base/units.hpp"

namespace drover::memory {

/// The memory of a device at one moment.
struct MemorySample {
    Bytes available{};  ///< what can be taken without pushing anybody out
    /// Of Drover and its engines. On the host without mapped files: the kernel counts them as
    /// available.
    Bytes ours{};
    Bytes held{};  ///< what Drover and its engines are charged
    double stalled =
        0;  ///< share of the last ten seconds in which nobody got on for want of memory
};

/// A budget that falls at once when others need the memory, and rises again when they have not
/// needed it for a while.
class Pressure {
  public:
    /// The budget moves in steps, so that small changes of other programs move nothing.
    static constexpr Bytes kStep = 64_MiB;
    /// It rises, and a stalled machine is given back another step, this long after the last fall.
    static constexpr Duration kCalm = std::chrono::seconds(10);
    /// From this share on the machine is stalled.
    static constexpr double kStalled = 0.1;

    /// `kept_free`: what is left to others beyond what they have.
    Pressure(Bytes budget, Bytes kept_free)
        : budget_(budget), kept_free_(kept_free), current_(budget) {}

    /// The budget after this sample. REQUIRES: `now` never goes back.
    Bytes note(const MemorySample& sample, TimePoint now) {
        const Bytes limit = limit_of(sample, now);
        if (limit < current_) {
            current_ = limit;
            fell_at_ = now;
        } else if (limit == current_) {
            fell_at_ = limit == budget_ ? std::nullopt : std::optional(now);
        } else if (is_calm(now)) {
            current_ = limit;
        }
        return current_;
    }

    Bytes budget() const { return budget_; }
    Bytes current() const { return current_; }

  private:
    bool is_calm(TimePoint now) const { return !fell_at_.has_value() || now - *fell_at_ >= kCalm; }

    Bytes limit_of(const MemorySample& sample, TimePoint now) const {
        Bytes limit = sample.ours + sample.available - kept_free_;
        if (sample.stalled >= kStalled) {
            // What the kernel calls available is in use after all: one more has to leave.
            limit = is_calm(now) ? std::min(limit, sample.held - kStep) : std::min(limit, current_);
        }
        const std::int64_t steps = std::max(limit, Bytes(0)).count() / kStep.count();
        return std::min(kStep * steps, budget_);
    }

    Bytes budget_;
    Bytes kept_free_;
    Bytes current_;
    std::optional<TimePoint> fell_at_{};  ///< or was as low as this for the last time
};

}  // namespace drover::memory

// When a model that failed may be tried again. Pure; any thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>

#include "base/units.hpp"

namespace drover::memory {

/// Counts failures in a row: the first may be retried at once, later ones after a doubling time.
class Backoff {
  public:
    /// A load failed or an instance crashed.
    void note_failure(TimePoint now, Duration first, Duration max) {
        ++failures_;
        Duration wait{};
        if (failures_ > 1) {
            const std::uint32_t doublings = std::min<std::uint32_t>(failures_ - 2, 30);
            wait = first > max / (std::int64_t{1} << doublings)
                       ? max
                       : first * (std::int64_t{1} << doublings);
        }
        retry_at_ = now + wait;
    }

    /// A request was served.
    void note_success() { failures_ = 0; }

    /// Time until the next try; nullopt when it may be tried now.
    std::optional<Duration> remaining(TimePoint now) const {
        if (failures_ == 0 || now >= retry_at_) {
            return std::nullopt;
        }
        return retry_at_ - now;
    }

  private:
    std::uint32_t failures_ = 0;
    TimePoint retry_at_{};
};

}  // namespace drover::memory

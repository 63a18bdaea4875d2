// How often a model is asked for, lately. Pure; any thread.
#pragma once

#include <cmath>

#include "base/units.hpp"

namespace drover::memory {

/// An exponentially decaying count of requests: an estimate of how soon the next one comes.
class Usage {
  public:
    /// A request was made. REQUIRES: `now` never goes back.
    void note(TimePoint now) {
        count_ = at(now) + 1;
        since_ = now;
    }

    /// Requests within about the last five minutes, older ones counting less.
    double at(TimePoint now) const {
        return count_ * std::exp(-seconds(now - since_) / kMemorySeconds);
    }

    /// The logarithm of at(t), plus a term that depends on t alone: all counts decay alike, so two
    /// models compare by rank in the same way for ever. Minus infinity when there was no request.
    double rank() const {
        return std::log(count_) + seconds(since_.time_since_epoch()) / kMemorySeconds;
    }

  private:
    /// Sessions of people pause for minutes; a longer memory would keep yesterday's favourite.
    static constexpr double kMemorySeconds = 300;

    static double seconds(Duration duration) {
        return std::chrono::duration<double>(duration).count();
    }

    double count_ = 0;
    TimePoint since_{};
};

}  // namespace drover::memory

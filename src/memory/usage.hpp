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
        const double age = std::chrono::duration<double>(now - since_).count();
        return count_ * std::exp(-age / kMemorySeconds);
    }

  private:
    /// Sessions of people pause for minutes; a longer memory would keep yesterday's favourite.
    static constexpr double kMemorySeconds = 300;

    double count_ = 0;
    TimePoint since_{};
};

}  // namespace drover::memory

// How far a pull is, with its rate and the time left, as one line of a terminal. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>

#include "base/units.hpp"

namespace drover::cli {

class ProgressBar {
  public:
    /// The line for `completed` of `total` at `now`, at most `width` columns. The rate is that of
    /// the last seconds; another `what` begins anew.
    std::string line(
        const std::string& what, Bytes completed, Bytes total, TimePoint now, std::size_t width);

  private:
    struct Sample {
        TimePoint at;
        Bytes completed;
    };

    /// Bytes a second; nothing as long as too little has been seen.
    std::optional<double> rate() const;

    std::string what_;
    std::deque<Sample> samples_;
};

}  // namespace drover::cli

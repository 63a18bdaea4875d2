// Finds the replica that fails more often than the others. Pure; one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "base/units.hpp"

namespace drover::upstreams {

struct OutlierOptions {
    Duration half_life = std::chrono::seconds(30);  ///< after which an outcome counts half
    double outcomes_min = 10;                       ///< fewer say nothing about a replica
    double excess = 0.3;  ///< so much more of its requests fail than of the others'
};

/// Failures that do not come in a row, and so open no circuit, still show in comparison.
class Outliers {
  public:
    Outliers(OutlierOptions options, std::size_t replicas)
        : options_(options), tallies_(replicas) {}

    void note(std::size_t replica, bool failed, TimePoint now);

    /// A replica that begins anew.
    void forget(std::size_t replica) { tallies_[replica] = {}; }

    /// Whether `replica` fails so much more often than the `others` together.
    bool stands_out(std::size_t replica, const std::vector<std::size_t>& others) const;

  private:
    struct Tally {
        double outcomes = 0;
        double failures = 0;
        TimePoint at{};
    };

    OutlierOptions options_;
    std::vector<Tally> tallies_;
};

}  // namespace drover::upstreams

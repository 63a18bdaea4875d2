// Who leaves when memory is needed. Pure; any thread.
#pragma once

#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"

namespace drover::memory {

/// An instance that may leave.
struct Candidate {
    InstanceId instance;
    Footprint held;
    std::int32_t priority = 0;
    double usage = 0;      ///< expected requests, see Usage
    Duration load_time{};  ///< what bringing it back costs
    TimePoint last_used{};
};

/// Worth of keeping the candidate, per byte: chance of reuse x cost to bring back / bytes freed
/// (GreedyDual-Size-Frequency, Cherkasova 1998, with a decaying frequency in place of its clock).
double keep_value(const Candidate& candidate);

/// The instances that must leave to free at least `missing`: lowest priority first, then least
/// valuable, then least recently used; none that the others make unnecessary. Empty when even all
/// of them do not free enough.
std::vector<InstanceId> choose_victims(std::vector<Candidate> candidates, const Footprint& missing);

}  // namespace drover::memory

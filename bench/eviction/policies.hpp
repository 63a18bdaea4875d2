// What a trace costs, in seconds of loading: at best, under one policy for ever, and under the real
// scheduler. Requests are served in no time, one after another, so that loads alone count.
#pragma once

#include <vector>

#include "base/units.hpp"
#include "memory/eviction.hpp"
#include "traces.hpp"

namespace drover::bench {

/// The least that anybody could load who knows the future: a dynamic programme over all sets of
/// resident models. O(requests x 2^models).
double optimal_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget);

/// One of the scheduler's policies, always.
double fixed_cost(const Trace& trace,
                  const std::vector<Bytes>& sizes,
                  Bytes budget,
                  memory::EvictionPolicy policy);

/// Successor prediction: the chance that a model comes soon after the present one, learned by
/// temporal differences (the successor representation of Dayan, 1993), x cost / bytes.
double successor_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget);

/// What the scheduler did before the selector: counts that decay over five minutes, and the least
/// valuable per byte leave until there is enough.
double clock_gdsf_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget);

/// The real Scheduler, which follows the selector.
double scheduler_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget);

}  // namespace drover::bench

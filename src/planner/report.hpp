// A plan for people, with bars, and for programs, as JSON. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "base/units.hpp"
#include "planner/plan.hpp"
#include "planner/replay.hpp"

namespace drover::planner {

/// What a trace would have cost with one budget.
struct Replayed {
    memory::Footprint budget;
    Replay outcome;
};

/// The trace with the planned budget, with larger ones, and with enough for all models.
std::vector<Replayed> replay_with_more(const Plan& plan,
                                       const memory::SchedulerOptions& options,
                                       const std::vector<Arrival>& arrivals);

/// For a terminal of at least 80 columns.
std::string to_text(const Plan& plan, const std::vector<Replayed>& replayed = {});

/// Sizes in bytes, times in milliseconds.
boost::json::object to_json(const Plan& plan, const std::vector<Replayed>& replayed = {});

/// Why `plan.models` do not fit together, and what would help, in a few lines.
std::string refusal(const Plan& plan);

}  // namespace drover::planner

// How the settings of a model become milder, so that it takes less memory. Pure; any thread.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "engines/settings.hpp"
#include "models/model_facts.hpp"

namespace drover::planner {

/// What can be turned down, in the order in which it is: cheap things first, quality last.
enum Knob : std::size_t {
    prompt_cache,
    parallel,
    cache_type,
    context,
    quantisation,
    kKnobs
};

/// How far each is turned down from what was asked for; 0: it is not.
using Steps = std::array<std::size_t, kKnobs>;

/// As far down as they go. Where a step changes nothing for a model it costs nothing.
inline constexpr Steps kLowest = {1, 2, 1, 2, 6};

/// One step of the first one that is not down yet. False: all are.
bool turn_down(Steps& steps);

/// Changes settings and facts accordingly. Returns what is different then: "context: 2048".
std::vector<std::string> make_milder(const Steps& steps,
                                     engines::ResolvedSettings& settings,
                                     models::ModelFacts& facts);

}  // namespace drover::planner

// Time as answers tell it. Pure; any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/units.hpp"

namespace drover::gateway::dialect {

struct Instant {
    TimePoint monotonic{};
    std::int64_t wall_ms = 0;  ///< since 1970
};

/// Given by whoever may look at a clock.
using Clock = std::function<Instant()>;

/// "2026-08-21T09:30:00.125Z".
std::string rfc3339(std::int64_t wall_ms);

}  // namespace drover::gateway::dialect

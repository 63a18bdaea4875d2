// Requests in time against the real scheduler on a planned machine: how long they would wait, what
// would be swapped. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "memory/scheduler.hpp"

namespace drover::planner {

/// One request of a trace.
struct Arrival {
    Duration at{};          ///< since the beginning
    std::size_t model = 0;  ///< index among the planned models
    Duration service{};     ///< what the engine takes for it
};

/// Most arrivals of one trace: what a replay keeps in memory stays below a gigabyte.
inline constexpr std::size_t kArrivalsMax = 5'000'000;

/// Reads lines "SECONDS,MODEL[,SERVICE_SECONDS]" in any order; lines that begin with '#', empty
/// ones and a first line of column names are skipped. `invalid_argument` names the line and what is
/// wrong with it.
Result<std::vector<Arrival>> parse_trace(std::string_view text,
                                         const std::vector<std::string>& models,
                                         Duration service_default);

struct ReplayModel {
    memory::ModelTraits traits;
    Duration first_load{};  ///< of the first load, from the disk; later ones are the traits'
};

/// A load, and who left since the one before.
struct Swap {
    std::size_t model;
    std::vector<std::size_t> left;
    Duration took{};
};

struct Replay {
    std::uint64_t served = 0, refused = 0, loads = 0, evictions = 0;
    Duration loading{};  ///< sum over all loads
    Duration waited_mean{}, waited_p50{}, waited_p95{}, waited_max{};
    std::vector<Swap> swaps;  ///< the first kSwapsMax
};
inline constexpr std::size_t kSwapsMax = 1'000;

/// Feeds the arrivals to a scheduler and carries out its effects in virtual time. Deterministic.
Replay replay(const std::vector<ReplayModel>& models,
              const memory::Footprint& budget,
              const memory::SchedulerOptions& options,
              const std::vector<Arrival>& arrivals);

}  // namespace drover::planner

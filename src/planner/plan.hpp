// Which models fit into memory together, what it costs when they do not, and which settings would
// make them fit. By the same sizes and the same scheduler as the server. Pure; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "config/config.hpp"
#include "engines/settings.hpp"
#include "memory/placement.hpp"
#include "memory/scheduler.hpp"
#include "memory/size_estimate.hpp"
#include "models/model_facts.hpp"
#include "planner/replay.hpp"

namespace drover::planner {

/// What an instance took.
struct Measured {
    memory::Footprint footprint;
    Duration load_time;
};

/// A model to plan for, most important first.
struct Wanted {
    std::string name;
    models::ModelFacts facts;
    config::Task task = config::Task::generate;  ///< never automatic
    config::ModelSettings settings;
    models::Companions beside{};  ///< charged with the model
    /// What it takes, whatever the settings are: another engine than llama.cpp serves it.
    std::optional<memory::EvenSizes> fixed{};
    memory::PlacementWish where{};
    std::vector<std::uint32_t> gpu_numbers{};  ///< of the GPUs in `where`
    bool pinned = false;
    /// What it took with these settings when it was laid out so; null: nobody knows.
    std::function<std::optional<Measured>(const engines::ResolvedSettings& settings,
                                          const memory::Layout& layout)>
        measured{};
};

struct Machine {
    memory::Footprint budget;
    Bytes own{};                               ///< of the host's, for Drover itself
    std::uint32_t models_max = 0;              ///< in memory at once; 0: any number
    std::vector<std::string> devices{"host"};  ///< names of those that `budget` has
    models::CpuFeatures cpu;
    memory::SchedulerOptions scheduler;
};

/// One model with the settings that it would run with.
struct PlannedModel {
    std::string name;
    std::string quantisation;
    engines::ResolvedSettings settings;
    memory::SizeEstimate size;
    std::vector<memory::Layout> layouts{};  ///< all ways to lay it out, the best first
    std::size_t layers = 0;                 ///< of it, the output being one; 0: nobody knows
    std::size_t layout = 0;                 ///< the one that it has in the plan
    std::string where{};                    ///< that is, for people
    bool pinned = false;
    bool measured = false;  ///< it was here with these settings, and took that
    Bytes bytes;            ///< all that is charged to the budgets then
    Duration load_cached;   ///< its file is in the page cache
    Duration load_disk;
    std::vector<std::string> changes;  ///< against what was asked for: "context: 2048"

    const memory::Footprint& footprint() const { return layouts[layout].footprint; }
};

/// What loading on demand costs: each model is asked for in turn, and again.
struct Round {
    std::vector<Swap> swaps;
    Duration loading{};
    std::vector<std::size_t> refused;  ///< those that get no memory
};

struct Plan {
    memory::Footprint budget;          ///< in models, too, where their number is limited
    Bytes own{};                       ///< of the host's, for Drover itself
    std::vector<std::string> devices;  ///< names of those that `budget` has
    std::vector<PlannedModel> models;  ///< as asked for
    memory::Footprint total;           ///< of all of them
    bool fits = false;                 ///< all of them together: `concurrent` works
    std::vector<std::size_t> never;    ///< those that do not even fit alone
    /// When they do not fit: the mildest settings with which all of them do, if there are any.
    std::optional<std::vector<PlannedModel>> fitting;
    /// When they do not fit: each as asked for, or with the mildest settings with which it fits
    /// alone, if there are any.
    std::vector<PlannedModel> alone;
    /// When they do not fit: what one round over `alone` swaps.
    std::optional<Round> round;

    /// What models can have of `whole`.
    memory::Footprint left_of(const memory::Footprint& whole) const {
        return whole - memory::Footprint::host(own);
    }
};

/// `invalid_argument` names the model and the setting that cannot work.
Result<Plan> make_plan(const std::vector<Wanted>& wanted,
                       const config::ModelSettings& defaults,
                       const Machine& machine);

/// Planned models as a replay takes them; those that can never fit are refused in it.
std::vector<ReplayModel> replay_models(const std::vector<PlannedModel>& models);

}  // namespace drover::planner

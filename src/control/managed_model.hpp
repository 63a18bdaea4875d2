// A model as control needs it: what the scheduler must know and how to start its engine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "control/fleet.hpp"
#include "control/measured_sizes.hpp"
#include "engines/launch_plan.hpp"
#include "memory/events.hpp"

namespace drover::control {

/// What the snapshots of a model depend on.
struct SnapshotTraits {
    std::vector<std::filesystem::path> files;  ///< of the model, its adapters and projector
    /// Everything but the files that changes what a slot's state looks like or means.
    std::string binding;
    std::uint32_t slots = 1;
    bool sliding_window = false;  ///< some layers see only the last positions
    bool forgets = false;         ///< it cannot go back in a conversation: such, or recurrent
    Bytes bytes_per_token{};      ///< of a saved state, at most
    Bytes bytes_fixed{};          ///< of it, however short
};

/// What goes with a placement of a model.
struct PlacementTraits {
    std::string where;  ///< for people: "host", "GPU 0", "GPU 0 and 1", "GPU 0 (20 of 33 layers)"
    /// Of the devices that it lies on: the host's, then the GPUs' in order, none twice.
    std::vector<std::size_t> slots{memory::kHostDevice};
    /// Part of the placement's footprint that an instance has not yet touched when it becomes ready
    /// (compute buffers, prompt cache): added to what is measured then.
    memory::Footprint growth{};
    /// It is charged at least this: what the configuration declares.
    memory::Footprint least{};
    /// What it keeps asleep where measuring does not show it: weights for which the driver holds
    /// host memory, and what it has on GPUs of which the driver tells nothing.
    std::vector<memory::Footprint> unseen_asleep{};  ///< for each way to sleep
    SizeKey size_key{};                              ///< what its size is remembered under
};

struct ManagedModel {
    ModelId id;
    ModelView view;  ///< what listings show; `state` is filled in when asked
    bool preload = false;
    memory::ModelTraits traits;
    std::vector<PlacementTraits> placements;  ///< as many as `traits.placements`, in their order
    /// Unset: no snapshots are kept of it.
    std::optional<SnapshotTraits> snapshots;
    /// What the engine reads when it loads; may be empty.
    std::vector<std::filesystem::path> files{};
    /// How to start an engine that listens on `socket`, its model laid out as this placement.
    std::function<Result<engines::LaunchPlan>(const std::filesystem::path& socket,
                                              std::size_t placement)>
        launch;
    /// One or two sentences for a client whose model can never fit into `available` bytes: what
    /// takes the memory, and which settings would make it fit.
    std::function<std::string(Bytes available)> advice;
};

}  // namespace drover::control

// A model as control needs it: what the scheduler must know and how to start its engine.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "control/fleet.hpp"
#include "engines/launch_plan.hpp"
#include "memory/events.hpp"

namespace drover::control {

struct ManagedModel {
    ModelId id;
    ModelView view;  ///< what listings show; `state` is filled in when asked
    bool preload = false;
    memory::ModelTraits traits;
    /// Part of `traits.footprint` that an instance has not yet touched when it becomes ready
    /// (compute buffers, prompt cache): added to what is measured then.
    memory::Footprint growth;
    /// How to start an engine that listens on `socket`.
    std::function<Result<engines::LaunchPlan>(const std::filesystem::path& socket)> launch;
    /// One or two sentences for a client whose model can never fit into `available` bytes: what
    /// takes the memory, and which settings would make it fit.
    std::function<std::string(Bytes available)> advice;
};

}  // namespace drover::control

// The part of the composition root for engines that a command starts: `engine: command` and
// `engine: vllm`.
#pragma once

#include "app/wiring.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "control/managed_model.hpp"
#include "engines/settings.hpp"
#include "memory/placement.hpp"
#include "models/registry.hpp"

namespace drover::app {

/// What one instance of the model takes until it is measured: as declared, or guessed from its
/// files. Blocks on the disk.
memory::EvenSizes child_sizes(const models::Model& model, const config::ModelSettings& defaults);

/// What the model runs with: its settings, where it has none the engine's.
engines::ResolvedSettings child_settings(const models::Model& model,
                                         const config::ModelSettings& defaults);

/// The model, or why its settings cannot work.
Result<control::ManagedModel> manage_child(const config::Config& config,
                                           const models::Model& model,
                                           const Means& means);

}  // namespace drover::app

// The composition root: turns a configuration into the values that the parts are built from. The
// only place that knows all of them.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "config/config.hpp"
#include "control/managed_model.hpp"
#include "engines/llama_cpp_locate.hpp"
#include "memory/footprint.hpp"
#include "models/registry.hpp"

namespace drover::app {

/// The bytes that engines may use together: as configured, or what is available now minus the
/// reserve.
Result<memory::Footprint> memory_budget(const config::MemoryConfig& config);

/// All models: those of the configuration, of its directories, of the store, and those that other
/// programs have put on the disk. `previous` keeps the ids of models that it knew.
models::Registry find_models(const config::Config& config,
                             const models::Registry* previous = nullptr);

Result<engines::LocatedEngine> locate_engine(const config::Config& config);

/// Where this server keeps conversations.
std::filesystem::path snapshot_directory(const config::Config& config);

/// What a projector takes, until it is measured.
Bytes projector_footprint(const models::Model& model);

/// What a model takes, until it is measured, that another engine than llama.cpp serves; nullopt:
/// llama.cpp serves it, and its size follows from its settings.
std::optional<Bytes> fixed_footprint(const models::Model& model,
                                     const config::ModelSettings& defaults);

/// Whether any model of the configuration needs llama-server.
bool needs_llama_cpp(const models::Registry& registry);

/// The models of `registry` that can be served; those whose settings cannot work are logged. What
/// `sizes` knows of one replaces its estimate. `snapshot_dir` empty: no snapshots.
std::vector<control::ManagedModel> manage_models(const config::Config& config,
                                                 const models::Registry& registry,
                                                 const engines::LocatedEngine& engine,
                                                 const std::filesystem::path& snapshot_dir,
                                                 const control::MeasuredSizes* sizes = nullptr);

/// One model, or why its settings cannot work.
Result<control::ManagedModel> manage_model(const config::Config& config,
                                           const models::Model& model,
                                           const engines::LocatedEngine& engine,
                                           const std::filesystem::path& snapshot_dir,
                                           const control::MeasuredSizes* sizes = nullptr);

}  // namespace drover::app

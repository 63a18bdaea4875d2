// The composition root: turns a configuration into the values that the parts are built from. The
// only place that knows all of them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "app/devices.hpp"
#include "base/result.hpp"
#include "config/config.hpp"
#include "control/managed_model.hpp"
#include "engines/llama_cpp_locate.hpp"
#include "engines/settings.hpp"
#include "memory/placement.hpp"
#include "models/registry.hpp"

namespace drover::app {

/// What models are served with.
struct Means {
    engines::LocatedEngine engine;
    bool engine_has_gpus = false;  ///< llama-server computes on them
    Devices devices;
    std::filesystem::path snapshot_dir;  ///< empty: no snapshots
    std::filesystem::path sleep_dir;     ///< for weights of engines that sleep; empty: none
    const control::MeasuredSizes* sizes = nullptr;  ///< what it knows replaces estimates
};

/// All models: those of the configuration, of its directories, of the store, and those that other
/// programs have put on the disk. `previous` keeps the ids of models that it knew.
models::Registry find_models(const config::Config& config,
                             const models::Registry* previous = nullptr);

Result<engines::LocatedEngine> locate_engine(const config::Config& config);

/// Where this server keeps conversations.
std::filesystem::path snapshot_directory(const config::Config& config);

/// Where engines put weights when they fall asleep.
std::filesystem::path sleep_directory(const config::Config& config);

/// What a model takes, until it is measured, that another engine than llama.cpp serves; nullopt:
/// llama.cpp serves it, and its size follows from its settings.
std::optional<memory::EvenSizes> fixed_sizes(const models::Model& model,
                                             const config::ModelSettings& defaults);

/// What sizes of a model that llama.cpp serves with these settings are remembered under.
control::SizeKey llama_cpp_size_key(const models::Model& model,
                                    const engines::ResolvedSettings& settings,
                                    const engines::LocatedEngine& engine);

/// Whether any model of the configuration needs llama-server.
bool needs_llama_cpp(const models::Registry& registry);

/// Whether llama-server computes on GPUs. Asks it only when there are any.
bool computes_on_gpus(const engines::LocatedEngine& engine, const Devices& devices);

/// The models of `registry` that can be served; those whose settings cannot work are logged, and
/// marked as broken.
std::vector<control::ManagedModel> manage_models(const config::Config& config,
                                                 models::Registry& registry,
                                                 const Means& means);

/// One model, or why its settings cannot work. REQUIRES: it is not remote.
Result<control::ManagedModel> manage_model(const config::Config& config,
                                           const models::Model& model,
                                           const Means& means);

/// The model with another context for each request, as far as it was trained for one; nullopt when
/// its configuration says which it has, when its settings cannot work, and for other engines than
/// llama.cpp.
std::optional<control::ManagedModel> manage_with_context(const config::Config& config,
                                                         const models::Model& model,
                                                         std::uint32_t context,
                                                         const Means& means);

}  // namespace drover::app

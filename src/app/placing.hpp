// Where the models of a configuration may lie on the devices of this machine. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/devices.hpp"
#include "base/result.hpp"
#include "control/managed_model.hpp"
#include "engines/engine_devices.hpp"
#include "engines/settings.hpp"
#include "memory/placement.hpp"
#include "models/registry.hpp"

namespace drover::app {

/// What an engine can do with GPUs.
enum class GpuUse {
    none,      ///< it computes on the processor alone
    if_asked,  ///< nobody knows: it is given GPUs that its model names
    all,       ///< it takes what fits best
};

/// Of the model's engine; `llama_cpp`: what llama-server can.
GpuUse gpu_use_of(const models::Model& model, GpuUse llama_cpp);

/// What may be done with a model, and which GPUs that means.
struct Wish {
    memory::PlacementWish layout;
    std::vector<control::Device> gpus;  ///< as many as `layout.gpus`
    /// The engine is told which devices to use, also when that is the host alone.
    bool tells = false;
};

/// `invalid_argument`: it names a GPU that is not there, or that its engine cannot use.
Result<Wish> wish_of(const engines::ResolvedSettings& settings, const Devices& devices, GpuUse use);

/// One placement of a model, as everybody needs it.
struct Placed {
    memory::Placement placement;
    control::PlacementTraits traits;                ///< of the key only what is this placement's
    std::optional<engines::EngineDevices> devices;  ///< unset: the engine decides
};

/// `layers`: of the whole model, for people; 0: it is divided evenly.
Placed placed(const memory::Layout& layout, const Wish& wish, std::size_t layers);

/// Makes the key of a placement whole by that of its model.
void complete_key(const control::SizeKey& model, control::PlacementTraits& placement);

/// What was measured of a placement.
struct KnownSize {
    memory::Footprint footprint;
    Duration load_time;
};

/// Nullopt: nothing. REQUIRES: the key of `placement` is whole.
std::optional<KnownSize> known_size(const control::PlacementTraits& placement,
                                    const control::MeasuredSizes& sizes);

/// Adds a placement to the model; what `sizes` knows of it replaces its estimate and, of the first,
/// the time to load. `key`: of the model. Returns what the engine is told.
std::optional<engines::EngineDevices> add_placement(Placed placed,
                                                    const control::SizeKey& key,
                                                    const control::MeasuredSizes* sizes,
                                                    control::ManagedModel& model);

}  // namespace drover::app

// `vllm serve` as a command that Drover starts. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/units.hpp"
#include "config/config.hpp"
#include "engines/engine_devices.hpp"
#include "engines/settings.hpp"
#include "models/hugging_face.hpp"

namespace drover::engines {

/// Requests that an instance is sent at once: as many as vLLM itself takes into a batch unless it
/// is told otherwise. It makes those wait for whose conversations its cache has no room.
inline constexpr std::uint32_t kVllmParallelDefault = 256;

/// Where an instance's memory goes.
struct VllmSize {
    Bytes weights;
    Bytes kv_cache;  ///< 0: the model keeps none
    Bytes process;   ///< Python, libraries, activations

    Bytes total() const { return weights + kv_cache + process; }
};

/// On each GPU beside its part of weights and cache: context, activations, graphs. With vLLM 0.26.0
/// on an H100 1.0 to 1.4 GiB without graphs, 0.8 GiB of it asleep; graphs were not measured.
inline constexpr Bytes kVllmGpu = 2_GiB;
/// In host memory, when weights and cache are on GPUs: 2.4 GiB there.
inline constexpr Bytes kVllmHost = 3_GiB;

/// Up to how many GPUs a model can be divided over: by its heads.
std::uint32_t vllm_parts_max(const models::HuggingFaceConfig& model);

/// Before the load. `weights` is what the tensors take in memory; 0: nobody knows, and they are
/// taken to be three quarters of what is `declared` beside the process. Of `declared` bytes the
/// cache gets what the rest leaves, at least one request's context; else it has room for some
/// requests of full length.
VllmSize vllm_size(Bytes weights,
                   const models::HuggingFaceConfig& model,
                   const ResolvedSettings& settings,
                   std::optional<Bytes> declared);

/// `settings` completed by what the model can do: its own context is the longest.
ResolvedSettings vllm_settings(ResolvedSettings settings,
                               const config::ModelSettings& model,
                               const models::HuggingFaceConfig& config);

/// What a command template must say so that it is vLLM with the model at `source`, a folder or a
/// reference, on a private socket, with a key that stands in no command line. `search_path` is PATH
/// as the engine would have it. `kv_cache` unset: what its share of the GPUs leaves, as vLLM itself
/// finds out. `devices` unset: there are no GPUs to choose from. `sleeps`: it can be told to, by
/// whoever has the key.
config::ChildSettings vllm_command(const config::ChildSettings& given,
                                   const std::string& source,
                                   std::optional<Bytes> kv_cache,
                                   const std::string& search_path,
                                   const std::optional<EngineDevices>& devices,
                                   bool sleeps = false);

}  // namespace drover::engines

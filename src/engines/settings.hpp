// The settings of one model with every gap filled: what the configuration says, then what the file
// says, then what measurements suggest. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "config/config.hpp"
#include "models/model_facts.hpp"
#include "models/repack.hpp"

namespace drover::engines {

/// One request of an embedding model fills at most this many tokens unless configured otherwise:
/// its whole input must fit one physical batch, and compute buffers grow with that.
inline constexpr std::uint32_t kEmbeddingContextDefault = 2048;
inline constexpr std::uint32_t kContextDefault = 4096;
inline constexpr std::uint32_t kBatchDefault = 512;
inline constexpr std::uint32_t kParallelDefault = 2;
inline constexpr std::uint32_t kParallelEmbeddingDefault = 4;
inline constexpr std::uint32_t kParallelMax = 256;  ///< the engine's own limit
inline constexpr std::uint32_t kQueueDefault = 64;
inline constexpr std::chrono::milliseconds kKeepAliveDefault{300'000};
/// The engine saves one a batch before the end of a prompt and one right before it: what
/// regenerating an answer goes back to. Each takes the windows or states of a whole sequence.
inline constexpr std::uint32_t kCheckpointsDefault = 2;
inline constexpr Bytes kPromptCacheDefaultMax = 256_MiB;

/// What the model's own settings say, else what those of all models do.
template <typename T>
std::optional<T> first_of(const std::optional<T>& model, const std::optional<T>& defaults) {
    return model.has_value() ? model : defaults;
}

/// Like config::ModelSettings, but complete and within what engine and model can do.
struct ResolvedSettings {
    config::Task task = config::Task::generate;  ///< never automatic
    std::uint32_t context = kContextDefault;  ///< tokens of one request; at most the trained ones
    std::uint32_t parallel = kParallelDefault;
    std::uint32_t queue = kQueueDefault;
    std::chrono::milliseconds keep_alive = kKeepAliveDefault;  ///< negative: stays
    std::int32_t priority = 0;
    std::optional<std::chrono::milliseconds> min_residency;  ///< unset: the scheduler's
    std::uint32_t batch = kBatchDefault;                     ///< logical and physical
    std::uint32_t threads = 0;                               ///< 0: the engine chooses
    std::string cache_type_k = "f16";
    std::string cache_type_v = "f16";
    std::optional<bool> flash_attention;  ///< unset: the engine decides
    bool repack = true;
    /// Weights stay in the mapped file; false: they are read, because most of them are repacked
    /// into memory of their own anyway and the mapping would count twice.
    bool map_weights = true;
    Bytes prompt_cache;
    /// States of sliding or recurrent layers that a slot keeps to go back to.
    std::uint32_t checkpoints = 0;
    bool snapshots = false;  ///< conversations survive the end of the process
    config::SleepLevel sleep = config::SleepLevel::never;  ///< instead of ending
    config::DeviceChoice device;
    config::GpuLayers gpu_layers;
    std::vector<std::string> extra_args;
    /// What was changed or cannot be had, for people.
    std::vector<std::string> notes;
};

/// Fills the gaps: model, then defaults, then built in. `cpu` is the processor that will serve the
/// model. `invalid_argument` names the setting that cannot work and what could.
Result<ResolvedSettings> resolve_settings(config::Task task,
                                          const config::ModelSettings& model,
                                          const config::ModelSettings& defaults,
                                          const models::ModelFacts& facts,
                                          const models::CpuFeatures& cpu = {});

}  // namespace drover::engines

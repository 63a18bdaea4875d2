#include "engines/settings.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>
#include <utility>

#include "config/passed_on.hpp"

namespace drover::engines {

namespace {

// What --cache-type-k and -v take.
constexpr std::array<std::string_view, 9> kCacheTypes{
    "bf16", "f16", "f32", "iq4_nl", "q4_0", "q4_1", "q5_0", "q5_1", "q8_0"};
// The engine counts tokens in 32 bits with a sign.
constexpr std::uint64_t kTokensMax = std::numeric_limits<std::int32_t>::max();

Result<std::string> cache_type(std::string_view setting,
                               const std::optional<std::string>& model,
                               const std::optional<std::string>& defaults) {
    std::string type = first_of(model, defaults).value_or("f16");
    if (std::find(kCacheTypes.begin(), kCacheTypes.end(), type) == kCacheTypes.end()) {
        std::string known;
        for (const std::string_view each : kCacheTypes) {
            known += (known.empty() ? "" : ", ") + std::string(each);
        }
        return invalid(std::string(setting) + ": '" + type + "' is no cache type; there are " +
                       known);
    }
    return type;
}

bool is_plain(std::string_view type) {
    return type == "f16" || type == "f32" || type == "bf16";
}

/// Whether going back in a conversation needs a saved state: some layers forget.
bool forgets(const models::ModelFacts& facts) {
    return facts.sliding_window > 0 || facts.cache == models::CacheKind::recurrent ||
           facts.cache == models::CacheKind::hybrid;
}

Status resolve_context(ResolvedSettings& result,
                       std::optional<std::uint32_t> wanted,
                       const models::ModelFacts& facts) {
    const bool embeds = result.task != config::Task::generate;
    const std::uint32_t usual = embeds && facts.causal ? kEmbeddingContextDefault : kContextDefault;
    result.context = wanted.value_or(std::min(facts.context_length, usual));
    if (result.context == 0) {
        return invalid("context: must be at least 1 token");
    }
    if (facts.context_length != 0 && result.context > facts.context_length) {
        // The engine caps a slot there anyway, but would allocate the rest.
        result.notes.push_back("context: " + std::to_string(result.context) +
                               " is more than the model was trained for; " +
                               std::to_string(facts.context_length) + " is used");
        result.context = facts.context_length;
    }
    if (std::uint64_t{result.context} * result.parallel > kTokensMax) {
        return invalid("context: " + std::to_string(result.context) + " tokens for each of " +
                       std::to_string(result.parallel) +
                       " requests is more than the engine can count");
    }
    return {};
}

Status resolve_cache(ResolvedSettings& result,
                     const config::ModelSettings& model,
                     const config::ModelSettings& defaults) {
    auto k = cache_type("cache_type_k", model.cache_type_k, defaults.cache_type_k);
    if (!k.ok()) {
        return k.error();
    }
    auto v = cache_type("cache_type_v", model.cache_type_v, defaults.cache_type_v);
    if (!v.ok()) {
        return v.error();
    }
    result.cache_type_k = std::move(k).value();
    result.cache_type_v = std::move(v).value();
    result.flash_attention = first_of(model.flash_attention, defaults.flash_attention);
    if (result.flash_attention == false && !is_plain(result.cache_type_v)) {
        return invalid("cache_type_v: '" + result.cache_type_v +
                       "' needs flash attention; leave flash_attention unset or choose f16");
    }
    return {};
}

/// Measured with a 135M model, nearly all Q4_0: mapped 215 MiB and ready in 279 ms, read 158 MiB
/// and 183 ms. With a 270M one of which a twentieth is repacked, reading takes 70 ms longer and
/// makes pages that the kernel could drop into ones that it cannot.
bool mostly_repacked(const models::WeightFacts& weights, const models::CpuFeatures& cpu) {
    return models::repacked_weights(weights, cpu).from_file * 4 > weights.total;
}

/// Prompts that lost their slot are worth keeping: a conversation that comes back is not computed
/// again (DESIGN, section 5: 61.8 s against milliseconds). But each byte is charged to the budget,
/// so the default is room for one more conversation at full context, in whole MiB, and never much.
/// Embeddings have no conversations.
Bytes default_prompt_cache(const ResolvedSettings& settings, const models::ModelFacts& facts) {
    if (settings.task != config::Task::generate) {
        return Bytes(0);
    }
    constexpr std::uint64_t kElementBytes = 2;  // f16
    std::uint64_t bytes = 0;
    for (const models::LayerFacts& layer : facts.layers) {
        const std::uint64_t positions = layer.sliding_window
                                            ? std::min(settings.context, facts.sliding_window)
                                            : settings.context;
        bytes += positions * (layer.key_elements + layer.value_elements) * kElementBytes +
                 layer.recurrent_state_bytes;
    }
    const Bytes wanted((static_cast<std::int64_t>(bytes) >> 20) << 20);
    return std::min(wanted, kPromptCacheDefaultMax);
}

}  // namespace

Result<ResolvedSettings> resolve_settings(config::Task task,
                                          const config::ModelSettings& model,
                                          const config::ModelSettings& defaults,
                                          const models::ModelFacts& facts,
                                          const models::CpuFeatures& cpu) {
    ResolvedSettings result;
    result.task = task != config::Task::automatic ? task
                  : facts.reranker                ? config::Task::rerank
                  : facts.pooling                 ? config::Task::embedding
                                                  : config::Task::generate;
    const bool embeds = result.task != config::Task::generate;
    result.parallel = first_of(model.parallel, defaults.parallel)
                          .value_or(embeds ? kParallelEmbeddingDefault : kParallelDefault);
    if (result.parallel == 0 || result.parallel > kParallelMax) {
        return invalid("parallel: must be from 1 to " + std::to_string(kParallelMax));
    }
    DROVER_TRY(resolve_context(result, first_of(model.context, defaults.context), facts));
    DROVER_TRY(resolve_cache(result, model, defaults));

    result.batch =
        first_of(model.batch, defaults.batch).value_or(embeds ? result.context : kBatchDefault);
    if (result.batch == 0 || result.batch > kTokensMax) {
        return invalid("batch: must be at least 1 token");
    }
    if (embeds) {
        // One input must be computed in one physical batch, or the engine refuses it.
        result.batch = std::max(result.batch, result.context);
    }
    result.queue = first_of(model.queue, defaults.queue).value_or(kQueueDefault);
    result.keep_alive = first_of(model.keep_alive, defaults.keep_alive).value_or(kKeepAliveDefault);
    result.priority = first_of(model.priority, defaults.priority).value_or(0);
    result.min_residency = first_of(model.min_residency, defaults.min_residency);
    result.threads = first_of(model.threads, defaults.threads).value_or(0);
    result.repack = first_of(model.repack, defaults.repack).value_or(true);
    result.map_weights = !result.repack || !mostly_repacked(facts.weights, cpu);
    result.prompt_cache = first_of(model.prompt_cache, defaults.prompt_cache)
                              .value_or(default_prompt_cache(result, facts));
    result.checkpoints = !embeds && forgets(facts) ? kCheckpointsDefault : 0;
    result.snapshots = !embeds && first_of(model.snapshots, defaults.snapshots).value_or(true);
    result.sleep = first_of(model.sleep, defaults.sleep).value_or(config::SleepLevel::light);
    result.device = first_of(model.device, defaults.device).value_or(config::DeviceChoice());
    result.gpu_layers =
        first_of(model.gpu_layers, defaults.gpu_layers).value_or(config::GpuLayers());
    result.extra_args = !model.extra_args.empty() ? model.extra_args : defaults.extra_args;
    DROVER_TRY(config::check_passed_on(result.extra_args));
    for (const std::string& option : config::uncounted(result.extra_args)) {
        result.notes.push_back("extra_args: what " + option + " takes is not counted");
    }
    return result;
}

}  // namespace drover::engines

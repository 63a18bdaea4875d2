#include "engines/vllm_launch.hpp"

#include <algorithm>
#include <utility>

#include "engines/child_environment.hpp"

namespace drover::engines {

namespace {

/// Two processes with PyTorch, compiled graphs and activations, as measured (docs/engines.md).
constexpr Bytes kProcess = 2560_MiB;

/// Requests of full length that the cache has room for when nothing is declared; shorter ones share
/// it, as it is handed out in small blocks.
constexpr std::uint32_t kFullLengthRequests = 4;

/// What vLLM takes on a processor when nobody says how much.
constexpr Bytes kUnknownCache = 4_GiB;

/// Told even for a model that keeps none: unless it knows how much, vLLM does not start when less
/// than 92 % of the machine's memory are free.
constexpr Bytes kCacheMin = 16_MiB;

}  // namespace

VllmSize vllm_size(Bytes weights,
                   const models::HuggingFaceConfig& model,
                   const ResolvedSettings& settings,
                   std::optional<Bytes> declared) {
    VllmSize size{.weights = weights, .kv_cache = {}, .process = kProcess};
    if (settings.task != config::Task::generate) {
        return size;
    }
    const Bytes request = model.kv_per_token() * settings.context;
    const Bytes usual = request == Bytes(0)
                            ? kUnknownCache
                            : request * std::min(settings.parallel, kFullLengthRequests);
    size.kv_cache =
        declared.has_value() ? std::max(*declared - weights - kProcess, request) : usual;
    return size;
}

ResolvedSettings vllm_settings(ResolvedSettings settings,
                               const config::ModelSettings& model,
                               const models::HuggingFaceConfig& config) {
    const std::uint32_t trained = config.context_length;
    const bool embeds = settings.task != config::Task::generate;
    if (trained > 0 && (settings.context > trained || (embeds && !model.context.has_value()))) {
        settings.context = trained;
    }
    return settings;
}

config::ChildSettings vllm_command(const config::ChildSettings& given,
                                   const std::string& source,
                                   Bytes kv_cache,
                                   const std::string& search_path) {
    config::ChildSettings child = given;
    child.health = "/health";
    child.environment.clear();
    if (child.command.empty()) {
        child.command = {given.venv.empty() ? "vllm" : (given.venv / "bin" / "vllm").string(),
                         "serve"};
    }
    for (const char* word : {"--uds",
                             "{socket}",
                             "--served-model-name",
                             "{model}",
                             "--max-model-len",
                             "{context}",
                             "--max-num-seqs",
                             "{parallel}"}) {
        child.command.emplace_back(word);
    }
    // The model comes first: in a container its entry point is `vllm serve` itself.
    child.command.insert(child.command.end() - 8, source);
    child.command.emplace_back("--kv-cache-memory-bytes");
    child.command.push_back(std::to_string(std::max(kv_cache, kCacheMin).count()));
    // Arguments can be read by everybody on the machine, an environment only by its user.
    child.environment.emplace_back("VLLM_API_KEY={key}");
    child.environment.emplace_back("VLLM_NO_USAGE_STATS=1");
    // Bound to the same cores, two instances would slow each other down however idle the rest is.
    child.environment.emplace_back("VLLM_CPU_OMP_THREADS_BIND=nobind");
    child.environment.emplace_back("OMP_NUM_THREADS={threads}");
    if (given.reference.empty()) {
        child.environment.emplace_back("HF_HUB_OFFLINE=1");
    }
    if (!given.venv.empty()) {
        // What it compiles at the start it compiles with the tools of its own environment.
        child.environment.push_back("PATH=" + (given.venv / "bin").string() + ":" + search_path);
    }
    for (const std::string& variable : given.environment) {
        set_variable(child.environment, variable);
    }
    return child;
}

}  // namespace drover::engines

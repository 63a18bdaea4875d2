#include "engines/vllm_launch.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
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

/// A model of unknown size that shall take so much in all: a cache too small makes requests wait,
/// one too large takes memory that others were promised.
constexpr std::int64_t kUnknownCacheDivisor = 4;

/// Told even for a model that keeps none: unless it knows how much, vLLM does not start when less
/// than 92 % of the machine's memory are free.
constexpr Bytes kCacheMin = 16_MiB;

/// A share of a GPU as the command line takes it, rounded up: the start checks that it is free.
std::string share_text(double share) {
    std::array<char, 16> text{};
    std::snprintf(text.data(), text.size(), "%.4f", std::min(share + 0.00005, 1.0));
    return text.data();
}

void add_gpus(const EngineDevices& devices, config::ChildSettings& child) {
    double share = 0;
    for (const EngineGpu& gpu : devices.gpus) {
        share = std::max(share, gpu.share);
    }
    child.command.emplace_back("--tensor-parallel-size");
    child.command.push_back(std::to_string(devices.gpus.size()));
    child.command.emplace_back("--gpu-memory-utilization");
    child.command.push_back(share_text(share));
}

}  // namespace

std::uint32_t vllm_parts_max(const models::HuggingFaceConfig& model) {
    std::uint32_t parts = 1;
    while (model.kv_heads > 0 && model.kv_heads % (parts * 2) == 0) {
        parts *= 2;
    }
    return parts;
}

VllmSize vllm_size(Bytes weights,
                   const models::HuggingFaceConfig& model,
                   const ResolvedSettings& settings,
                   std::optional<Bytes> declared) {
    VllmSize size{.weights = weights, .kv_cache = {}, .process = kProcess};
    const bool writes = settings.task == config::Task::generate;
    if (weights == Bytes(0) && declared.has_value()) {
        const Bytes rest = std::max(*declared - kProcess, Bytes(0));
        size.kv_cache = Bytes(writes ? rest.count() / kUnknownCacheDivisor : 0);
        size.weights = rest - size.kv_cache;
        return size;
    }
    if (!writes) {
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
                                   std::optional<Bytes> kv_cache,
                                   const std::string& search_path,
                                   const std::optional<EngineDevices>& devices,
                                   bool sleeps) {
    const bool on_gpus = devices.has_value() && !devices->gpus.empty();
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
    // Of each GPU, where there are several.
    const std::int64_t parts = on_gpus ? std::ssize(devices->gpus) : 1;
    if (kv_cache.has_value()) {
        child.command.emplace_back("--kv-cache-memory-bytes");
        child.command.push_back(std::to_string(std::max(*kv_cache, kCacheMin).count() / parts));
    }
    if (on_gpus) {
        add_gpus(*devices, child);
    }
    if (devices.has_value()) {
        child.environment.push_back(visible_devices(*devices));
    }
    if (sleeps) {
        child.command.emplace_back("--enable-sleep-mode");
        child.environment.emplace_back("VLLM_SERVER_DEV_MODE=1");  // without it nobody can tell it
    }
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

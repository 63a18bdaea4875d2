#include "engines/llama_cpp_args.hpp"

#include <string_view>
#include <utility>

#include "engines/chat_template.hpp"
#include "engines/child_environment.hpp"

namespace drover::engines {

namespace {

/// The engine computes with milliseconds in 32 bits.
constexpr std::uint64_t kSleepIdleSecondsMax = 2'000'000;

Status check_socket(const std::filesystem::path& socket) {
    const std::string path = socket.string();
    if (path.size() > kSocketPathMax) {
        return invalid("socket path of " + std::to_string(path.size()) + " bytes, " +
                       std::to_string(kSocketPathMax) +
                       " are possible; choose a shorter runtime_dir: " + path);
    }
    // The engine takes a comma-separated list of addresses and strips blanks.
    if (!socket.is_absolute() || socket.extension() != ".sock" ||
        path.find_first_of(", \t\"") != std::string::npos) {
        return invalid(
            "socket path must be absolute, end in .sock, and hold no comma, quote or blank: " +
            path);
    }
    return {};
}

std::vector<std::string> environment_of(const LlamaCppLaunch& launch) {
    std::vector<std::string> environment = child_environment(launch.parent_environment);
    // Fewer heaps for the HTTP threads: what a busy engine keeps stays near what it uses.
    environment.emplace_back("MALLOC_ARENA_MAX=2");
    // On an abort ggml would start a debugger to print a backtrace, which can hang for minutes.
    environment.emplace_back("GGML_NO_BACKTRACE=1");
    if (!launch.preload.empty()) {
        environment.push_back("LD_PRELOAD=" + launch.preload.string());
    }
    if (launch.shares_processors) {
        environment.push_back("DROVER_COMPUTE_LOCKS=" +
                              (launch.socket.parent_path() / "computing").string());
    }
    if (!launch.sleep_dir.empty()) {
        environment.push_back("DROVER_SLEEP_DIRECTORY=" + launch.sleep_dir.string());
    }
    if (launch.devices.has_value()) {
        set_variable(environment, visible_devices(*launch.devices));
    }
    for (const std::string& variable : launch.environment) {
        set_variable(environment, variable);
    }
    return environment;
}

/// Collects arguments.
class Arguments {
  public:
    explicit Arguments(std::string program) { list_.push_back(std::move(program)); }

    void flag(std::string name) { list_.push_back(std::move(name)); }
    void option(std::string name, std::string value) {
        list_.push_back(std::move(name));
        list_.push_back(std::move(value));
    }
    void option(std::string name, std::uint64_t value) {
        option(std::move(name), std::to_string(value));
    }
    std::vector<std::string> take() && { return std::move(list_); }

  private:
    std::vector<std::string> list_;
};

void add_memory(Arguments& args, const ResolvedSettings& settings) {
    // Sizes are ours: the fit pass would read the vocabulary a second time to compute its own.
    args.option("--fit", "off");
    args.option("--ctx-size", std::uint64_t{settings.context} * settings.parallel);
    args.option("--parallel", settings.parallel);
    // A request gets its own part of the context, whatever the others do.
    args.flag("--no-kv-unified");
    args.option("--batch-size", settings.batch);
    args.option("--ubatch-size", settings.batch);
    args.option("--cache-type-k", settings.cache_type_k);
    args.option("--cache-type-v", settings.cache_type_v);
    if (settings.flash_attention.has_value()) {
        args.option("--flash-attn", *settings.flash_attention ? "on" : "off");
    }
    if (!settings.repack) {
        args.flag("--no-repack");
    }
    args.option("--load-mode", settings.map_weights ? "mmap" : "none");
    // Always given: the engine's own defaults are 8 GiB, and 32 checkpoints for each slot.
    args.option("--cache-ram", static_cast<std::uint64_t>(settings.prompt_cache.count()) >> 20);
    args.option("--ctx-checkpoints", settings.checkpoints);
    // Copying every idle slot at each new task costs time; a slot that is taken over is saved
    // anyway.
    args.flag("--no-cache-idle-slots");
    // A conversation that outgrows its context ends; it does not silently lose its beginning.
    args.flag("--no-context-shift");
}

/// Names the devices, so that an engine that cannot compute on them says so, rather than computing
/// elsewhere in memory that nobody reserved. Those that are visible count from 0.
void add_devices(Arguments& args, const EngineDevices& devices) {
    if (devices.gpus.empty()) {
        args.option("--device", "none");
        return;
    }
    std::string names;
    std::string split;
    std::uint64_t layers = 0;
    for (std::size_t i = 0; i < devices.gpus.size(); ++i) {
        names += (i == 0 ? "CUDA" : ",CUDA") + std::to_string(i);
        split += (i == 0 ? "" : ",") + std::to_string(devices.gpus[i].layers);
        layers += devices.gpus[i].layers;
    }
    args.option("--device", names);
    args.option("--n-gpu-layers", devices.whole ? "all" : std::to_string(layers));
    if (devices.gpus.size() == 1) {
        args.option("--split-mode", "none");
        args.option("--main-gpu", std::uint64_t{0});
    } else {
        // In numbers of layers: the engine hands them out by these proportions, in order.
        args.option("--split-mode", "layer");
        args.option("--tensor-split", split);
    }
}

void add_task(Arguments& args, const ResolvedSettings& settings, const models::ModelFacts& facts) {
    switch (settings.task) {
        case config::Task::rerank:
            args.flag("--rerank");
            return;
        case config::Task::embedding:
            args.flag("--embedding");
            if (!facts.pooling_named) {
                args.option("--pooling", facts.causal ? "last" : "mean");
            }
            return;
        case config::Task::generate:
        case config::Task::automatic:
            args.flag("--jinja");
            if (auto text = replacement_template(facts); text.has_value()) {
                args.option("--chat-template", std::move(*text));
            }
            if (const std::string_view word = stop_word(facts); !word.empty()) {
                args.option("--reverse-prompt", std::string(word));
            }
            return;
    }
}

void add_service(Arguments& args, const LlamaCppLaunch& launch, const ResolvedSettings& settings) {
    args.option("--host", launch.socket.string());
    if (launch.name.find(',') == std::string::npos && !launch.name.empty()) {
        args.option("--alias", launch.name);
    }
    // One for each request and two for health checks; the engine adds more under pressure.
    args.option("--threads-http", settings.parallel + 2U);
    if (!launch.snapshot_dir.empty() && settings.snapshots) {
        args.option("--slot-save-path", (launch.snapshot_dir / "").string());
    }
    // What was computed and what was not: was a snapshot of use?
    args.flag("--metrics");
    if (launch.sleeps) {
        // Never by itself: it sleeps when it is told to.
        args.option("--sleep-idle-seconds", kSleepIdleSecondsMax);
    }
    args.flag("--no-ui");
    args.flag("--offline");
    args.flag("--no-warmup");
    // Warnings and errors only: enough for last words, no line for each request.
    args.option("--log-verbosity", 2);
    args.option("--log-colors", "off");
    args.flag("--no-log-timestamps");
    if (settings.threads != 0) {
        args.option("--threads", settings.threads);
    }
    if (launch.shares_processors) {
        // Threads that have nothing to do wait without spinning: the processor is for the others.
        args.option("--poll", std::uint64_t{0});
    }
}

}  // namespace

Result<LaunchPlan> plan_llama_cpp(const LlamaCppLaunch& launch,
                                  const ResolvedSettings& settings,
                                  const models::ModelFacts& facts,
                                  const config::EngineConfig& config) {
    DROVER_TRY(check_socket(launch.socket));
    Arguments args(launch.llama_server.string());
    args.option("--model", launch.model_file.string());
    if (!launch.projector.empty()) {
        args.option("--mmproj", launch.projector.string());
    }
    for (const std::filesystem::path& adapter : launch.adapters) {
        args.option("--lora", adapter.string());
    }
    add_service(args, launch, settings);
    add_memory(args, settings);
    if (launch.devices.has_value()) {
        add_devices(args, *launch.devices);
    }
    add_task(args, settings, facts);
    for (const std::string& extra : settings.extra_args) {
        args.flag(extra);
    }
    LaunchPlan plan{.metrics = Metrics::llama_cpp};
    plan.argv = std::move(args).take();
    plan.environment = environment_of(launch);
    plan.socket = launch.socket;
    if (launch.sleeps) {
        plan.sleeps = {SleepWay::llama_cpp};
    }
    plan.load_timeout = config.load_timeout;
    plan.health_timeout = config.health_timeout;
    plan.stop_timeout = config.stop_timeout;
    return plan;
}

}  // namespace drover::engines

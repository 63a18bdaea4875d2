#include "app/wiring.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "app/child_wiring.hpp"
#include "app/model_text.hpp"
#include "app/placing.hpp"
#include "base/assert.hpp"
#include "control/sizing.hpp"
#include "engines/llama_cpp_args.hpp"
#include "engines/settings.hpp"
#include "memory/size_estimate.hpp"
#include "platform/cpu_features.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "platform/paths.hpp"
#include "store/discovery.hpp"

namespace drover::app {

namespace log = platform::log;
using engines::ResolvedSettings;

namespace {

/// In Ollama's words, as its clients look for them.
std::vector<std::string> capabilities_of(const models::Model& model, config::Task task) {
    const models::ModelFacts& facts = model.facts;
    if (task == config::Task::embedding) {
        return {"embedding"};
    }
    if (task == config::Task::rerank) {
        return {"rerank"};
    }
    // Where the file's own template has no tools, ours has (engines/chat_template).
    std::vector<std::string> capabilities{"completion", "tools"};
    const std::pair<bool, const char*> further[] = {{model.projector.has_value(), "vision"},
                                                    {facts.infill, "insert"},
                                                    {facts.thinking, "thinking"}};
    for (const auto& [there, name] : further) {
        if (there) {
            capabilities.emplace_back(name);
        }
    }
    return capabilities;
}

control::ModelView file_view(const models::Model& model, const ResolvedSettings& settings) {
    return {.name = model.name,
            .aliases = model.aliases,
            .copies = model.copies,
            .file = model.files.front().string(),
            .size = model.facts.file_size,
            .architecture = model.facts.architecture,
            .quantisation = model.facts.quantisation,
            .parameters = model.facts.parameters,
            .context = settings.context,
            .parallel = settings.parallel,
            .task = std::string(app::to_string(settings.task)),
            .digest = model.digest,
            .origin = std::string(models::to_string(model.origin)),
            .recipe = model.recipe == models::Recipe()
                          ? nullptr
                          : std::make_shared<const models::Recipe>(model.recipe),
            .created = platform::modification_time(model.files.front()),
            .trained_context = model.facts.context_length,
            .embedding_length = model.facts.embedding_length,
            .capabilities = capabilities_of(model, settings.task)};
}

/// What usual processors and GPUs compute in a second, roughly: for models whose speed was not
/// measured yet.
constexpr double kFlopsGuess = 5e10;
constexpr double kFlopsGuessGpu = 1e13;

/// Each parameter is multiplied and added once.
Duration prefill_guess(const models::ModelFacts& facts, bool on_gpu) {
    const double flops = on_gpu ? kFlopsGuessGpu : kFlopsGuess;
    const std::chrono::duration<double> seconds(2.0 * static_cast<double>(facts.parameters) /
                                                flops);
    return std::chrono::duration_cast<Duration>(seconds);
}

/// An engine that falls asleep writes weights to its disk's cache, at half a gigabyte a second when
/// others compute: those that wait for its memory should not wait for more than two seconds.
constexpr Bytes kWeightsWrittenMax = 1_GiB;

/// Everything that a slot's state depends on beside the model's files. The context does not matter:
/// the engine refuses what is too long for it. Nor does what runs on which device.
std::string snapshot_binding(const ResolvedSettings& settings,
                             const engines::LlamaCppVersion& version) {
    std::string binding = version.release + "|" + version.build + "|" + settings.cache_type_k +
                          "|" + settings.cache_type_v + "|" + std::to_string(settings.parallel);
    binding += !settings.flash_attention.has_value() ? "|auto"
               : *settings.flash_attention           ? "|flash"
                                                     : "|plain";
    for (const std::string& argument : settings.extra_args) {
        binding += "|" + argument;
    }
    return binding;
}

control::SnapshotTraits snapshot_traits(const models::Model& model,
                                        const ResolvedSettings& settings,
                                        const engines::LlamaCppVersion& version) {
    const bool wide = settings.cache_type_k == "f32" || settings.cache_type_v == "f32";
    const std::uint64_t element_bytes = wide ? 4 : 2;
    std::uint64_t per_token = 0;
    std::uint64_t fixed = 0;
    for (const models::LayerFacts& layer : model.facts.layers) {
        per_token +=
            (layer.key_elements + layer.value_elements + layer.index_elements) * element_bytes;
        fixed += layer.recurrent_state_bytes;
    }
    // An adapter or a projector changes what a state means as much as the model itself.
    std::vector<std::filesystem::path> files = model.files;
    files.insert(files.end(), model.recipe.adapters.begin(), model.recipe.adapters.end());
    if (model.projector.has_value()) {
        files.push_back(*model.projector);
    }
    return {.files = std::move(files),
            .binding = snapshot_binding(settings, version),
            .slots = settings.parallel,
            .sliding_window = model.facts.sliding_window > 0,
            .forgets = settings.checkpoints > 0,
            .bytes_per_token = Bytes(static_cast<std::int64_t>(per_token)),
            .bytes_fixed = Bytes(static_cast<std::int64_t>(fixed))};
}

}  // namespace

std::filesystem::path snapshot_directory(const config::Config& config) {
    if (!config.snapshots.directory.empty()) {
        return config.snapshots.directory;
    }
    // Servers on different ports do not share what they keep.
    return config.cache_dir / "snapshots" / std::to_string(config.listen_port);
}

std::filesystem::path sleep_directory(const config::Config& config) {
    return config.cache_dir / "asleep";
}

models::Registry find_models(const config::Config& config, const models::Registry* previous) {
    const auto environment = platform::process_environment();
    std::vector<std::string> problems;
    const auto others = store::discover(config, environment, problems);
    models::Registry registry = models::Registry::scan(
        config, others, previous, store::fetched_references(config, environment));
    for (std::string& problem : problems) {
        registry.add_problem(std::move(problem));
    }
    return registry;
}

Result<engines::LocatedEngine> locate_engine(const config::Config& config) {
    return engines::locate_llama_cpp(
        engines::default_engine_search(config.engine.llama_server,
                                       config.cache_dir,
                                       platform::process_environment()("PATH").value_or("")));
}

bool computes_on_gpus(const engines::LocatedEngine& engine, const Devices& devices) {
    if (devices.gpus.empty() || engine.llama_server.empty()) {
        return false;
    }
    const auto there = engine.devices.has_value() ? *engine.devices
                                                  : engines::llama_cpp_devices(engine.llama_server);
    return std::any_of(there.begin(), there.end(), [](const std::string& device) {
        return device.starts_with("CUDA");
    });
}

namespace {

/// All that is needed to start llama-server with one model, but for the socket and the devices.
struct LlamaCppModel {
    engines::LlamaCppLaunch launch;
    ResolvedSettings settings;
    models::ModelFacts facts;
    config::EngineConfig config;
    std::vector<std::optional<engines::EngineDevices>> devices;  ///< of each placement
};

LlamaCppModel llama_cpp_model(const config::Config& config,
                              const models::Model& model,
                              const ResolvedSettings& settings,
                              const Means& means) {
    return {.launch = {.llama_server = means.engine.llama_server,
                       .socket = {},
                       .model_file = model.files.front(),
                       .projector = model.projector.value_or(std::filesystem::path()),
                       .adapters = model.recipe.adapters,
                       .name = model.name,
                       .snapshot_dir = means.snapshot_dir,
                       .preload = means.engine.preload,
                       .environment = model.child.environment,
                       .parent_environment = own_environment()},
            .settings = settings,
            .facts = model.facts,
            .config = config.engine,
            .devices = {}};
}

/// An engine's threads wait for each other by spinning at every step. With one for each core, two
/// engines that compute at once slow each other down tenfold (docs/benchmarks.md): they share the
/// cores, or have half of them each where they cannot.
void choose_threads(ResolvedSettings& settings, engines::LlamaCppLaunch& launch) {
    if (settings.threads != 0) {
        return;
    }
    launch.shares_processors = !launch.preload.empty();
    settings.threads = launch.shares_processors ? platform::core_count()
                                                : std::max(platform::processor_count() / 2, 1U);
}

/// What lies beside the model.
models::Companions companions_of(const models::Model& model,
                                 const ResolvedSettings& settings,
                                 const memory::SizeSettings& sizing) {
    models::Companions beside = model.companions;
    if (const Status counted = control::count_draft(settings, sizing, beside); !counted.ok()) {
        log::warn("model.note",
                  {{"model", model.name},
                   {"note", "its draft model is not counted: " + counted.error().message}});
    }
    return beside;
}

Result<control::ManagedModel> manage_llama_cpp(const config::Config& config,
                                               const models::Model& model,
                                               const Means& means) {
    const models::CpuFeatures cpu = control::processor();
    const auto settings =
        engines::resolve_settings(model.task, model.settings, config.defaults, model.facts, cpu);
    if (!settings.ok()) {
        return settings.error().with("models." + model.name);
    }
    const auto wish =
        wish_of(*settings, means.devices, means.engine_has_gpus ? GpuUse::all : GpuUse::none);
    if (!wish.ok()) {
        return wish.error().with("models." + model.name);
    }
    for (const std::string& note : settings->notes) {
        log::warn("model.note", {{"model", model.name}, {"note", note}});
    }
    const memory::SizeSettings sizing = control::size_settings(*settings, cpu);
    const memory::SizeEstimate size = memory::estimate_size(model.facts, sizing);
    const models::Companions beside = companions_of(model, *settings, sizing);
    const memory::LayerSizes layers = memory::layer_sizes(model.facts, sizing, beside);
    control::ManagedModel managed{
        .id = model.id,
        .view = file_view(model, *settings),
        .preload = model.preload,
        .traits = {.lease_limit = settings->parallel,
                   .queue_limit = settings->queue,
                   .keep_alive = keep_alive_of(*settings),
                   .pinned = model.pin,
                   .priority = settings->priority,
                   .min_residency = settings->min_residency,
                   .load_time = memory::expected_load_time(model.facts, size, true)}};
    managed.view.prefill_per_token = prefill_guess(model.facts, !wish->gpus.empty());
    const control::SizeKey key = llama_cpp_size_key(model, *settings, means.engine);
    LlamaCppModel start = llama_cpp_model(config, model, *settings, means);
    choose_threads(start.settings, start.launch);
    // What stays on a GPU while the engine sleeps was never seen.
    const bool sleeps = settings->sleep != config::SleepLevel::never &&
                        !means.engine.preload.empty() && wish->gpus.empty();
    const bool weights_in_file =
        sleeps && !means.sleep_dir.empty() && size.weights_anonymous <= kWeightsWrittenMax;
    start.launch.sleeps = sleeps;
    if (weights_in_file) {
        start.launch.sleep_dir = means.sleep_dir;
    }
    managed.files = model.files;
    for (const memory::Layout& layout :
         memory::lay_out(layers, wish->layout, means.devices.budget)) {
        Placed one = placed(layout, *wish, layers.layers.size());
        if (sleeps) {
            one.traits.growth += memory::Footprint::host(size.caches());
            one.placement.asleep = {
                memory::Footprint::host(size.asleep(weights_in_file) + beside.resident())};
            one.traits.unseen_asleep = {memory::Footprint()};
        }
        start.devices.push_back(add_placement(std::move(one), key, means.sizes, managed));
    }
    // An adapter changes what a state means.
    if (!means.snapshot_dir.empty() && settings->snapshots && model.recipe.adapters.empty()) {
        managed.snapshots = snapshot_traits(model, *settings, means.engine.version);
    }
    managed.launch = [start = std::move(start)](const std::filesystem::path& socket,
                                                std::size_t placement) {
        engines::LlamaCppLaunch here = start.launch;
        here.socket = socket;
        here.devices = start.devices.at(placement);
        return engines::plan_llama_cpp(here, start.settings, start.facts, start.config);
    };
    managed.advice = [facts = model.facts, sizing](Bytes available) {
        return control::size_advice(facts, sizing, available);
    };
    return managed;
}

}  // namespace

control::SizeKey llama_cpp_size_key(const models::Model& model,
                                    const ResolvedSettings& settings,
                                    const engines::LocatedEngine& engine) {
    control::SizeKey key{
        .model = model.identity,
        .engine = engine.llama_server.string() + " " + engine.version.build,
        .settings = control::text_of(control::size_settings(settings, control::processor()))};
    for (const std::string& argument : settings.extra_args) {
        key.settings += argument + " ";
    }
    return key;
}

std::optional<memory::EvenSizes> fixed_sizes(const models::Model& model,
                                             const config::ModelSettings& defaults) {
    switch (model.engine) {
        case config::EngineKind::llama_cpp:
            return std::nullopt;
        case config::EngineKind::vllm:
        case config::EngineKind::command:
            return child_sizes(model, defaults);
        case config::EngineKind::remote:
            return memory::EvenSizes();
    }
    DROVER_UNREACHABLE();
}

bool needs_llama_cpp(const models::Registry& registry) {
    const auto& models = registry.models();
    return models.empty() || std::any_of(models.begin(), models.end(), [](const auto& model) {
               return model.engine == config::EngineKind::llama_cpp;
           });
}

Result<control::ManagedModel> manage_model(const config::Config& config,
                                           const models::Model& model,
                                           const Means& means) {
    switch (model.engine) {
        case config::EngineKind::llama_cpp:
            return manage_llama_cpp(config, model, means);
        case config::EngineKind::vllm:
        case config::EngineKind::command:
            return manage_child(config, model, means);
        case config::EngineKind::remote:
            break;
    }
    DROVER_UNREACHABLE();
}

std::vector<control::ManagedModel> manage_models(const config::Config& config,
                                                 models::Registry& registry,
                                                 const Means& means) {
    std::vector<control::ManagedModel> managed;
    for (const models::Model& model : registry.models()) {
        if (model.engine == config::EngineKind::remote) {
            continue;  // it has no instance here (app/remote_models)
        }
        if (model.broken.has_value()) {
            log::warn("model.broken", {{"model", model.name}, {"reason", model.broken->message}});
            continue;
        }
        auto one = manage_model(config, model, means);
        if (one.ok()) {
            managed.push_back(std::move(*one));
        } else {
            log::warn("model.broken", {{"model", model.name}, {"reason", one.error().message}});
            registry.set_broken(model.id, one.error());
        }
    }
    return managed;
}

std::optional<control::ManagedModel> manage_with_context(const config::Config& config,
                                                         const models::Model& model,
                                                         std::uint32_t context,
                                                         const Means& means) {
    if (model.engine != config::EngineKind::llama_cpp || model.settings.context.has_value()) {
        return std::nullopt;
    }
    models::Model changed = model;
    changed.settings.context = context;
    auto managed = manage_llama_cpp(config, changed, means);
    return managed.ok() ? std::optional(std::move(*managed)) : std::nullopt;
}

}  // namespace drover::app

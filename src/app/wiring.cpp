#include "app/wiring.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "app/child_wiring.hpp"
#include "app/model_text.hpp"
#include "base/assert.hpp"
#include "control/sizing.hpp"
#include "engines/llama_cpp_args.hpp"
#include "engines/settings.hpp"
#include "memory/size_estimate.hpp"
#include "platform/cpu_features.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "platform/memory_probe.hpp"
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

control::ModelView view_of(const models::Model& model, const ResolvedSettings& settings) {
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
            .task = std::string(to_string(settings.task)),
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

/// What a usual processor computes in a second, roughly: only to rank snapshots of models whose
/// speed was not measured yet.
constexpr double kFlopsGuess = 5e10;

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
    const double seconds = 2.0 * static_cast<double>(model.facts.parameters) / kFlopsGuess;
    return {.files = std::move(files),
            .binding = snapshot_binding(settings, version),
            .slots = settings.parallel,
            .sliding_window = model.facts.sliding_window > 0,
            .forgets = settings.checkpoints > 0,
            .bytes_per_token = Bytes(static_cast<std::int64_t>(per_token)),
            .bytes_fixed = Bytes(static_cast<std::int64_t>(fixed)),
            .prefill_per_token =
                std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds))};
}

}  // namespace

std::filesystem::path snapshot_directory(const config::Config& config) {
    if (!config.snapshots.directory.empty()) {
        return config.snapshots.directory;
    }
    // Servers on different ports do not share what they keep.
    return config.cache_dir / "snapshots" / std::to_string(config.listen_port);
}

Bytes projector_footprint(const models::Model& model) {
    // Its weights, and buffers of one image, which the engine's graph makes about as large for all
    // sizes of models.
    constexpr Bytes kBuffers = 256_MiB;
    return model.projector.has_value() ? model.projector_size + kBuffers : Bytes(0);
}

Result<memory::Footprint> memory_budget(const config::MemoryConfig& config) {
    const auto host = platform::host_memory();
    if (!host.ok()) {
        return host.error();
    }
    if (config.budget.has_value()) {
        if (*config.budget > host->total) {
            log::warn("memory.budget_above_machine",
                      {{"budget", drover::to_string(*config.budget)},
                       {"machine", drover::to_string(host->total)}});
        }
        return memory::Footprint::host(*config.budget);
    }
    const Bytes budget = host->available - config.reserve;
    if (budget <= Bytes(0)) {
        return Error{ErrorCode::insufficient_memory,
                     "only " + drover::to_string(host->available) +
                         " of memory are available, less than the reserve of " +
                         drover::to_string(config.reserve) +
                         "; free some memory, or set memory.budget or memory.reserve"};
    }
    return memory::Footprint::host(budget);
}

models::Registry find_models(const config::Config& config, const models::Registry* previous) {
    const auto environment = platform::process_environment();
    std::vector<std::string> problems;
    const auto others = store::discover(config, environment, problems);
    models::Registry registry = models::Registry::scan(config, others, previous);
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

namespace {

Result<control::ManagedModel> manage_llama_cpp(const config::Config& config,
                                               const models::Model& model,
                                               const engines::LocatedEngine& engine,
                                               const std::filesystem::path& snapshot_dir,
                                               const control::MeasuredSizes* sizes) {
    const models::CpuFeatures cpu = control::processor();
    auto settings =
        engines::resolve_settings(model.task, model.settings, config.defaults, model.facts, cpu);
    if (!settings.ok()) {
        return settings.error().with("models." + model.name);
    }
    if (settings->threads == 0) {
        // An engine's threads wait for each other by spinning at every step. With one for each
        // core, two engines that compute at once slow each other down tenfold (docs/benchmarks.md).
        settings->threads = std::max(platform::processor_count() / 2, 1U);
    }
    for (const std::string& note : settings->notes) {
        log::warn("model.note", {{"model", model.name}, {"note", note}});
    }
    const memory::SizeSettings sizing = control::size_settings(*settings, cpu);
    const memory::SizeEstimate size = memory::estimate_size(model.facts, sizing);
    const Bytes projector = projector_footprint(model);
    control::ManagedModel managed{
        .id = model.id,
        .view = view_of(model, *settings),
        .preload = model.preload,
        .traits = {.footprint = memory::Footprint::host(size.total() + projector),
                   .lease_limit = settings->parallel,
                   .queue_limit = settings->queue,
                   .keep_alive = keep_alive_of(*settings),
                   .pinned = model.pin,
                   .priority = settings->priority,
                   .min_residency = settings->min_residency,
                   .load_time = memory::expected_load_time(model.facts, size, true)}};
    managed.view.estimated = size.total() + projector;
    managed.growth = memory::Footprint::host(size.growth());
    const bool sleeps = settings->sleep && !engine.sleep_library.empty();
    if (sleeps) {
        managed.traits.asleep = memory::Footprint::host(size.asleep());
        managed.growth += memory::Footprint::host(size.caches());
    }
    managed.files = model.files;
    managed.size_key = {.model = model.identity,
                        .engine = engine.llama_server.string() + " " + engine.version.build,
                        .settings = control::text_of(sizing)};
    for (const std::string& argument : settings->extra_args) {
        managed.size_key.settings += argument + " ";
    }
    if (const auto known = sizes != nullptr ? sizes->find(managed.size_key) : std::nullopt) {
        managed.traits.footprint = memory::Footprint::host(known->bytes);
        managed.traits.load_time = known->load_time;
        managed.view.estimated = known->bytes;
    }
    // An adapter changes what a state means.
    if (!snapshot_dir.empty() && settings->snapshots && model.recipe.adapters.empty()) {
        managed.snapshots = snapshot_traits(model, *settings, engine.version);
    }
    managed.launch = [llama_server = engine.llama_server,
                      settings = *settings,
                      file = model.files.front(),
                      projector = model.projector.value_or(std::filesystem::path()),
                      adapters = model.recipe.adapters,
                      name = model.name,
                      facts = model.facts,
                      environment = model.child.environment,
                      snapshot_dir,
                      sleep_library = sleeps ? engine.sleep_library : std::filesystem::path(),
                      engine_config = config.engine](const std::filesystem::path& socket) {
        return engines::plan_llama_cpp({.llama_server = llama_server,
                                        .socket = socket,
                                        .model_file = file,
                                        .projector = projector,
                                        .adapters = adapters,
                                        .name = name,
                                        .snapshot_dir = snapshot_dir,
                                        .sleep_library = sleep_library,
                                        .environment = environment,
                                        .parent_environment = own_environment()},
                                       settings,
                                       facts,
                                       engine_config);
    };
    managed.advice = [facts = model.facts, sizing](Bytes available) {
        return control::size_advice(facts, sizing, available);
    };
    return managed;
}

}  // namespace

std::optional<Bytes> fixed_footprint(const models::Model& model,
                                     const config::ModelSettings& defaults) {
    switch (model.engine) {
        case config::EngineKind::llama_cpp:
            return std::nullopt;
        case config::EngineKind::vllm:
        case config::EngineKind::command:
            return child_footprint(model, defaults);
        case config::EngineKind::remote:
            return Bytes(0);
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
                                           const engines::LocatedEngine& engine,
                                           const std::filesystem::path& snapshot_dir,
                                           const control::MeasuredSizes* sizes) {
    switch (model.engine) {
        case config::EngineKind::llama_cpp:
            return manage_llama_cpp(config, model, engine, snapshot_dir, sizes);
        case config::EngineKind::vllm:
        case config::EngineKind::command:
            return manage_child(config, model, sizes);
        case config::EngineKind::remote:
            return Error{ErrorCode::unavailable,
                         "models." + model.name + ": this engine is not supported yet"};
    }
    DROVER_UNREACHABLE();
}

std::vector<control::ManagedModel> manage_models(const config::Config& config,
                                                 const models::Registry& registry,
                                                 const engines::LocatedEngine& engine,
                                                 const std::filesystem::path& snapshot_dir,
                                                 const control::MeasuredSizes* sizes) {
    std::vector<control::ManagedModel> managed;
    for (const models::Model& model : registry.models()) {
        if (model.engine == config::EngineKind::remote) {
            continue;  // it has no instance here (app/remote_models)
        }
        if (model.broken.has_value()) {
            log::warn("model.broken", {{"model", model.name}, {"reason", model.broken->message}});
            continue;
        }
        auto one = manage_model(config, model, engine, snapshot_dir, sizes);
        if (one.ok()) {
            managed.push_back(std::move(*one));
        } else {
            log::warn("model.broken", {{"model", model.name}, {"reason", one.error().message}});
        }
    }
    return managed;
}

}  // namespace drover::app

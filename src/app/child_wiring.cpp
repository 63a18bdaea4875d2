#include "app/child_wiring.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "app/model_text.hpp"
#include "engines/child_settings.hpp"
#include "engines/command_launch.hpp"
#include "engines/vllm_launch.hpp"
#include "platform/chance.hpp"
#include "platform/cpu_features.hpp"
#include "platform/files.hpp"
#include "platform/guard.hpp"
#include "platform/paths.hpp"
#include "store/digest.hpp"

namespace drover::app {

namespace fs = std::filesystem;
using engines::ResolvedSettings;

namespace {

/// Requests that a server of unknown kind is sent at once: most have a queue of their own.
constexpr std::uint32_t kParallelCommand = 4;

/// A program and its libraries, beside the model's file.
constexpr Bytes kProgram = 512_MiB;

/// Until the first load is measured.
constexpr std::chrono::seconds kLoadTimeGuess(10);
constexpr std::chrono::seconds kLoadTimeVllm(60);

/// Of a file, or of all files in a folder; 0 when there is nothing.
Bytes size_on_disk(const fs::path& path) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
        const auto size = fs::file_size(path, error);
        return error ? Bytes(0) : Bytes(static_cast<std::int64_t>(size));
    }
    Bytes total;
    for (fs::directory_iterator entry(path, error), end; !error && entry != end;
         entry.increment(error)) {
        std::error_code unreadable;
        const auto size = entry->file_size(unreadable);
        total += unreadable ? Bytes(0) : Bytes(static_cast<std::int64_t>(size));
    }
    return total;
}

fs::path file_of(const models::Model& model) {
    return model.files.empty() ? fs::path() : model.files.front();
}

control::ModelView view_of(const models::Model& model, const ResolvedSettings& settings) {
    control::ModelView view{.name = model.name, .aliases = model.aliases};
    view.file = file_of(model).string();
    view.size = size_on_disk(file_of(model));
    view.context = settings.context;
    view.parallel = settings.parallel;
    view.task = std::string(to_string(settings.task));
    view.origin = std::string(models::to_string(model.origin));
    view.created = model.files.empty() ? 0 : platform::modification_time(file_of(model));
    view.capabilities = {settings.task == config::Task::generate ? "completion" : view.task};
    // vLLM knows its model by the name that it was given, and by no other.
    view.served_name = model.engine == config::EngineKind::vllm ? model.name : model.served_name;
    view.architecture = model.hugging_face.config.architecture;
    view.parameters = model.hugging_face.tensors.parameters;
    view.trained_context = model.hugging_face.config.context_length;
    view.embedding_length = model.hugging_face.config.hidden_length;
    return view;
}

/// Without the socket, the port and the key, which every start has its own of.
engines::CommandLaunch launch_of(const models::Model& model, const ResolvedSettings& settings) {
    return {.file = file_of(model),
            .model = model.served_name.empty() ? model.name : model.served_name,
            .context = settings.context,
            .parallel = settings.parallel,
            .threads = settings.threads,
            .extra_args = settings.extra_args,
            .parent_environment = own_environment()};
}

/// Makes the plan to run: with the program's place, under a guard.
Result<engines::LaunchPlan> finish(Result<engines::LaunchPlan> plan) {
    if (!plan.ok()) {
        return plan;
    }
    auto program = platform::find_program(plan->argv.front(), platform::process_environment());
    if (!program.ok()) {
        return program.error();
    }
    plan->argv.front() = program->string();
    plan->argv = platform::guarded(plan->argv);
    return plan;
}

/// A key and a port only for those who ask for them.
Result<engines::LaunchPlan> start(engines::CommandLaunch launch,
                                  const config::ChildSettings& child,
                                  const config::EngineConfig& config) {
    if (engines::mentions(child, "key")) {
        launch.key = Secret(platform::random_key());
    }
    if (engines::mentions(child, "port")) {
        const auto port = platform::free_port();
        if (!port.ok()) {
            return port.error();
        }
        launch.port = *port;
    }
    return finish(engines::plan_command(launch, child, config));
}

/// All that its size may depend on. Only its digest is remembered: people write keys into commands
/// and environments.
std::string size_settings_of(const config::ChildSettings& child, const ResolvedSettings& settings) {
    std::string text = std::to_string(settings.context) + " " + std::to_string(settings.parallel);
    for (const auto* list : {&child.command, &child.environment, &settings.extra_args}) {
        for (const std::string& word : *list) {
            text += '\0' + word;
        }
    }
    return store::digest_of(text).hex();
}

/// What is started for a model, and what it takes.
struct Child {
    config::ChildSettings settings;
    ResolvedSettings resolved;
    Bytes size;
    Bytes growth;  ///< of `size`, touched only when it serves
    Duration load_time{};
    std::string engine;
};

Child command_child(const config::Config& config, const models::Model& model) {
    return {.settings = model.child,
            .resolved = child_settings(model, config.defaults),
            .size = child_footprint(model, config.defaults),
            .growth = {},
            .load_time = kLoadTimeGuess,
            .engine = "command"};
}

engines::VllmSize vllm_size_of(const models::Model& model, const ResolvedSettings& settings) {
    return engines::vllm_size(
        model.hugging_face.tensors.loaded, model.hugging_face.config, settings, model.child.memory);
}

Child vllm_child(const config::Config& config, const models::Model& model) {
    const ResolvedSettings settings = child_settings(model, config.defaults);
    const engines::VllmSize size = vllm_size_of(model, settings);
    const std::string source =
        model.files.empty() ? model.child.reference : file_of(model).string();
    const std::string path = platform::process_environment()("PATH").value_or("");
    Child child{.settings = engines::vllm_command(model.child, source, size.kv_cache, path),
                .resolved = settings,
                .size = size.total(),
                .growth = size.kv_cache,
                .load_time = kLoadTimeVllm,
                .engine = "vllm"};
    if (!child.settings.stop_timeout.has_value()) {
        child.settings.stop_timeout = config.engine.stop_timeout;  // it has nothing to save
    }
    return child;
}

}  // namespace

ResolvedSettings child_settings(const models::Model& model, const config::ModelSettings& defaults) {
    const bool vllm = model.engine == config::EngineKind::vllm;
    ResolvedSettings settings =
        engines::resolve_child_settings(model.task,
                                        model.settings,
                                        defaults,
                                        vllm ? engines::kVllmParallelDefault : kParallelCommand);
    return vllm ? engines::vllm_settings(
                      std::move(settings), model.settings, model.hugging_face.config)
                : settings;
}

Bytes child_footprint(const models::Model& model, const config::ModelSettings& defaults) {
    if (model.engine == config::EngineKind::vllm) {
        return vllm_size_of(model, child_settings(model, defaults)).total();
    }
    return model.child.memory.value_or(size_on_disk(file_of(model)) + kProgram);
}

Result<control::ManagedModel> manage_child(const config::Config& config,
                                           const models::Model& model,
                                           const control::MeasuredSizes* sizes) {
    Child child = model.engine == config::EngineKind::vllm ? vllm_child(config, model)
                                                           : command_child(config, model);
    ResolvedSettings& settings = child.resolved;
    if (settings.threads == 0) {
        settings.threads = std::max(platform::processor_count() / 2, 1U);
    }
    // What cannot work is told at the start, not at the first request.
    engines::CommandLaunch launch = launch_of(model, settings);
    const auto plan = engines::plan_command(launch, child.settings, config.engine);
    if (!plan.ok()) {
        return plan.error().with("models." + model.name);
    }
    control::ManagedModel managed{.id = model.id,
                                  .view = view_of(model, settings),
                                  .preload = model.preload,
                                  .traits = {.footprint = memory::Footprint::host(child.size),
                                             .lease_limit = settings.parallel,
                                             .queue_limit = settings.queue,
                                             .keep_alive = keep_alive_of(settings),
                                             .pinned = model.pin,
                                             .priority = settings.priority,
                                             .min_residency = settings.min_residency,
                                             .load_time = child.load_time}};
    managed.view.estimated = child.size;
    managed.growth = memory::Footprint::host(child.growth);
    const Bytes least = model.child.memory.value_or(Bytes(0));
    managed.least = memory::Footprint::host(least);
    managed.size_key = {.model = model.identity,
                        .engine = child.engine,
                        .settings = size_settings_of(child.settings, settings)};
    if (const auto known = sizes != nullptr ? sizes->find(managed.size_key) : std::nullopt) {
        managed.view.estimated = std::max(known->bytes, least);
        managed.traits.footprint = memory::Footprint::host(managed.view.estimated);
        managed.traits.load_time = known->load_time;
    }
    managed.launch = [launch = std::move(launch),
                      settings = std::move(child.settings),
                      engine = config.engine](const fs::path& socket) {
        engines::CommandLaunch here = launch;
        here.socket = socket;
        return start(std::move(here), settings, engine);
    };
    managed.advice = [name = model.name](Bytes) {
        return "Lower models." + name + ".memory if it takes less, or raise memory.budget.";
    };
    return managed;
}

}  // namespace drover::app

#include "app/child_wiring.hpp"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "app/model_text.hpp"
#include "app/placing.hpp"
#include "base/assert.hpp"
#include "engines/child_environment.hpp"
#include "engines/child_settings.hpp"
#include "engines/command_launch.hpp"
#include "engines/vllm_launch.hpp"
#include "memory/placement.hpp"
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

/// Whether vLLM is given the flag `name`, in one word with its value or in two.
bool has_flag(const std::vector<std::string>& words, std::string_view name) {
    return std::any_of(words.begin(), words.end(), [name](const std::string& word) {
        return word == name || word.starts_with(std::string(name) + "=");
    });
}

/// vLLM calls tools and tells thoughts apart only as it is told how its model writes them.
std::vector<std::string> capabilities_of(const models::Model& model,
                                         const ResolvedSettings& settings) {
    if (settings.task != config::Task::generate) {
        return {std::string(to_string(settings.task))};
    }
    std::vector<std::string> capabilities{"completion"};
    const bool vllm = model.engine == config::EngineKind::vllm;
    if (vllm && has_flag(settings.extra_args, "--tool-call-parser")) {
        capabilities.emplace_back("tools");
    }
    if (vllm && has_flag(settings.extra_args, "--reasoning-parser")) {
        capabilities.emplace_back("thinking");
    }
    if (model.hugging_face.config.vision) {
        capabilities.emplace_back("vision");
    }
    return capabilities;
}

control::ModelView folder_view(const models::Model& model, const ResolvedSettings& settings) {
    control::ModelView view{.name = model.name, .aliases = model.aliases};
    view.file = file_of(model).string();
    view.size = size_on_disk(file_of(model));
    view.context = settings.context;
    view.parallel = settings.parallel;
    view.task = std::string(to_string(settings.task));
    view.origin = std::string(models::to_string(model.origin));
    view.created = model.files.empty() ? 0 : platform::modification_time(file_of(model));
    view.capabilities = capabilities_of(model, settings);
    // vLLM knows its model by the name that it was given, and by no other.
    view.served_name = model.engine == config::EngineKind::vllm ? model.name : model.served_name;
    view.only_openai = model.engine == config::EngineKind::vllm;
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
            .parent_environment = own_environment(),
            .fetches = !model.child.reference.empty()};
}

/// Makes the plan to run: with the program's place, under a guard.
Result<engines::LaunchPlan> finish(Result<engines::LaunchPlan> plan) {
    if (!plan.ok()) {
        return plan;
    }
    for (std::vector<std::string>* argv : {&plan->argv, &plan->stop_command}) {
        if (argv->empty()) {
            continue;
        }
        auto program = platform::find_program(argv->front(), platform::process_environment());
        if (!program.ok()) {
            return program.error();
        }
        argv->front() = program->string();
    }
    plan->argv = platform::guarded(plan->argv, plan->stop_command);
    return plan;
}

/// What is particular to a placement's instances.
struct PlacedLaunch {
    config::ChildSettings child;
    std::vector<engines::SleepWay> sleeps;
    bool vllm;
};

/// A key and a port only for those who ask for them.
Result<engines::LaunchPlan> start(engines::CommandLaunch launch,
                                  const PlacedLaunch& placed,
                                  const config::EngineConfig& config) {
    const config::ChildSettings& child = placed.child;
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
    auto plan = finish(engines::plan_command(launch, child, config));
    if (plan.ok()) {
        plan->sleeps = placed.sleeps;
        plan->metrics = placed.vllm ? engines::Metrics::vllm : engines::Metrics::none;
    }
    return plan;
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

engines::VllmSize vllm_size_of(const models::Model& model, const ResolvedSettings& settings) {
    return engines::vllm_size(
        model.hugging_face.tensors.loaded, model.hugging_face.config, settings, model.child.memory);
}

/// How an instance sleeps. vLLM can on GPUs only; nobody knows of other servers. Where host memory
/// has no room for its weights it sleeps deeply.
std::vector<engines::SleepWay> sleep_ways(const models::Model& model,
                                          const ResolvedSettings& settings,
                                          const memory::Layout& layout) {
    if (model.engine != config::EngineKind::vllm || layout.gpus.empty()) {
        return {};
    }
    switch (settings.sleep) {
        case config::SleepLevel::never:
            return {};
        case config::SleepLevel::light:
            return {engines::SleepWay::vllm_light, engines::SleepWay::vllm_deep};
        case config::SleepLevel::deep:
            return {engines::SleepWay::vllm_deep};
    }
    DROVER_UNREACHABLE();
}

/// Tells what an instance keeps asleep: on each GPU what it has there beside weights and cache, and
/// lightly asleep its weights in host memory.
void add_sleep(const models::Model& model,
               const ResolvedSettings& settings,
               const memory::Layout& layout,
               Placed& placed) {
    const Bytes weights = vllm_size_of(model, settings).weights;
    memory::Footprint gpus;
    for (const std::size_t slot : placed.traits.slots) {
        gpus[slot] = engines::kVllmGpu;
    }
    gpus[memory::kHostDevice] = Bytes(0);
    for (const engines::SleepWay way : sleep_ways(model, settings, layout)) {
        const bool moves = way == engines::SleepWay::vllm_light;
        const Bytes host = engines::kVllmHost + (moves ? weights : Bytes(0));
        placed.placement.asleep.push_back(gpus + memory::Footprint::host(host));
        placed.traits.unseen_asleep.push_back(moves ? placed.placement.asleep.back() : gpus);
    }
}

/// The command template of a placement on these devices.
config::ChildSettings settings_of(const config::Config& config,
                                  const models::Model& model,
                                  const ResolvedSettings& resolved,
                                  const std::optional<engines::EngineDevices>& devices,
                                  bool sleeps) {
    if (model.engine == config::EngineKind::command) {
        config::ChildSettings settings = model.child;
        if (devices.has_value()) {
            engines::set_variable(settings.environment, engines::visible_devices(*devices));
        }
        return settings;
    }
    const std::string source =
        model.files.empty() ? model.child.reference : file_of(model).string();
    const std::string path = platform::process_environment()("PATH").value_or("");
    // Told how large its cache is, vLLM does not look at its share; how much that leaves beside
    // unknown weights it knows better.
    const bool on_gpus = devices.has_value() && !devices->gpus.empty();
    const std::optional<Bytes> cache = on_gpus && model.hugging_face.tensors.loaded == Bytes(0)
                                           ? std::nullopt
                                           : std::optional(vllm_size_of(model, resolved).kv_cache);
    config::ChildSettings settings =
        engines::vllm_command(model.child, source, cache, path, devices, sleeps);
    if (!settings.stop_timeout.has_value() && model.child.command.empty()) {
        settings.stop_timeout = config.engine.stop_timeout;  // it has nothing to save
    }
    return settings;
}

/// What is wrong with the GPUs that a model of vLLM is to be divided over; it would not start.
std::optional<Error> division_problem(const models::Model& model, const Wish& wish) {
    const std::uint32_t heads = model.hugging_face.config.heads;
    const std::size_t parts = wish.layout.gpus.size();
    if (model.engine != config::EngineKind::vllm || !wish.layout.all_gpus || heads % parts == 0) {
        return std::nullopt;
    }
    return invalid("models." + model.name + ".device: its " + std::to_string(heads) +
                   " attention heads cannot be divided over " + std::to_string(parts) + " GPUs");
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

memory::EvenSizes child_sizes(const models::Model& model, const config::ModelSettings& defaults) {
    if (model.engine != config::EngineKind::vllm) {
        const Bytes size = model.child.memory.value_or(size_on_disk(file_of(model)) + kProgram);
        return {.divided = size,
                .divided_growth = {},
                .gpu = {},
                .host = kProgram,
                .all_on_host = size,
                .all_on_host_growth = {}};
    }
    const engines::VllmSize size = vllm_size_of(model, child_settings(model, defaults));
    return {.divided = size.weights + size.kv_cache,
            .divided_growth = {},  // on GPUs it takes its cache at the start
            .gpu = engines::kVllmGpu,
            .host = engines::kVllmHost,
            .all_on_host = size.total(),
            .all_on_host_growth = size.kv_cache,
            .parts_max = engines::vllm_parts_max(model.hugging_face.config)};
}

Result<control::ManagedModel> manage_child(const config::Config& config,
                                           const models::Model& model,
                                           const Means& means) {
    const bool vllm = model.engine == config::EngineKind::vllm;
    if (vllm && model.hugging_face.tensors.loaded == Bytes(0) && !model.child.memory.has_value()) {
        return invalid("models." + model.name + ".memory: is missing; nobody knows what " +
                       model.child.reference + " takes before it has been fetched once");
    }
    ResolvedSettings settings = child_settings(model, config.defaults);
    if (settings.threads == 0) {
        settings.threads = std::max(platform::processor_count() / 2, 1U);
    }
    const auto wish = wish_of(settings, means.devices, gpu_use_of(model, GpuUse::none));
    if (!wish.ok()) {
        return wish.error().with("models." + model.name);
    }
    if (const auto problem = division_problem(model, *wish); problem.has_value()) {
        return *problem;
    }
    control::ManagedModel managed{.id = model.id,
                                  .view = folder_view(model, settings),
                                  .preload = model.preload,
                                  .traits = {.lease_limit = settings.parallel,
                                             .queue_limit = settings.queue,
                                             .keep_alive = keep_alive_of(settings),
                                             .pinned = model.pin,
                                             .priority = settings.priority,
                                             .min_residency = settings.min_residency,
                                             .load_time = vllm ? kLoadTimeVllm : kLoadTimeGuess}};
    const memory::EvenSizes sizes = child_sizes(model, config.defaults);
    std::vector<PlacedLaunch> launches;  // one for each placement
    for (const memory::Layout& layout :
         memory::lay_out_evenly(sizes, wish->layout, means.devices.budget)) {
        Placed one = placed(layout, *wish, 0);
        add_sleep(model, settings, layout, one);
        auto sleeps = sleep_ways(model, settings, layout);
        auto child = settings_of(config, model, settings, one.devices, !sleeps.empty());
        launches.push_back({std::move(child), std::move(sleeps), vllm});
        if (model.child.memory.has_value()) {
            one.traits.least = layout.gpus.empty() ? memory::Footprint::host(*model.child.memory)
                                                   : layout.footprint;
        }
        const control::SizeKey key{.model = model.identity,
                                   .engine = vllm ? "vllm" : "command",
                                   .settings = size_settings_of(launches.back().child, settings)};
        add_placement(std::move(one), key, means.sizes, managed);
    }
    // What cannot work is told at the start, not at the first request.
    engines::CommandLaunch launch = launch_of(model, settings);
    const auto plan = engines::plan_command(launch, launches.front().child, config.engine);
    if (!plan.ok()) {
        return plan.error().with("models." + model.name);
    }
    managed.launch = [launch = std::move(launch),
                      launches = std::move(launches),
                      engine = config.engine](const fs::path& socket, std::size_t placement) {
        engines::CommandLaunch here = launch;
        here.socket = socket;
        return start(std::move(here), launches.at(placement), engine);
    };
    managed.advice = [name = model.name](Bytes) {
        return "Lower models." + name + ".memory if it takes less, or raise memory.budget.";
    };
    return managed;
}

}  // namespace drover::app

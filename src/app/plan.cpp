#include "app/plan.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <optional>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_to.hpp>

#include "app/child_wiring.hpp"
#include "app/placing.hpp"
#include "app/wiring.hpp"
#include "control/budget_watch.hpp"
#include "control/scales.hpp"
#include "control/sizing.hpp"
#include "planner/model_spec.hpp"
#include "planner/report.hpp"
#include "platform/files.hpp"
#include "platform/paths.hpp"
#include "store/options.hpp"
#include "store/reference.hpp"

namespace drover::app {

namespace json = boost::json;
using planner::Wanted;

namespace {

/// Plans are made on the loop: this many take milliseconds.
constexpr std::size_t kModelsMax = 64;

/// What a request of a trace takes when the trace does not say.
constexpr Duration kServiceDefault = std::chrono::seconds(2);

constexpr Bytes kTraceMax = 512_MiB;

/// Where a model may lie; of one without a place, what is wrong.
Result<Wish> place(Wanted& wanted,
                   const config::ModelSettings& defaults,
                   const PlanMachine& machine,
                   GpuUse use) {
    const config::ModelSettings& own = wanted.settings;
    engines::ResolvedSettings settings;
    settings.device = own.device.value_or(defaults.device.value_or(config::DeviceChoice()));
    settings.gpu_layers =
        own.gpu_layers.value_or(defaults.gpu_layers.value_or(config::GpuLayers()));
    auto wish = wish_of(settings, machine.devices, use);
    if (!wish.ok()) {
        return wish.error().with(wanted.name);
    }
    wanted.where = wish->layout;
    for (const control::Device& gpu : wish->gpus) {
        wanted.gpu_numbers.push_back(gpu.index);
    }
    return wish;
}

/// Looks up what was measured of a model that llama.cpp serves. REQUIRES: model and machine outlive
/// the plan.
auto lookup_of(const models::Model& model, Wish wish, const PlanMachine& machine) {
    return [&model, &machine, wish = std::move(wish)](
               const engines::ResolvedSettings& settings,
               const memory::Layout& layout) -> std::optional<planner::Measured> {
        control::PlacementTraits placement = placed(layout, wish, 0).traits;
        complete_key(llama_cpp_size_key(model, settings, machine.engine), placement);
        const auto known = known_size(placement, *machine.sizes);
        return known.has_value()
                   ? std::optional(planner::Measured{known->footprint, known->load_time})
                   : std::nullopt;
    };
}

Wanted wanted_of(const models::Model& model, const config::ModelSettings& defaults) {
    Wanted wanted{.name = model.name,
                  .facts = model.facts,
                  .task = model.task,
                  .settings = model.settings,
                  .beside = model.companions,
                  .fixed = fixed_sizes(model, defaults),
                  .pinned = model.pin};
    if (wanted.fixed.has_value()) {
        const engines::ResolvedSettings settings = child_settings(model, defaults);
        wanted.settings.context = settings.context;
        wanted.settings.parallel = settings.parallel;
    }
    return wanted;
}

/// A model without a place of its own on a certain engine: llama.cpp serves it.
Result<Wanted> unplaced(Wanted wanted,
                        const config::ModelSettings& defaults,
                        const PlanMachine& machine) {
    const bool embeds = wanted.facts.pooling;
    wanted.task = wanted.facts.reranker ? config::Task::rerank
                  : embeds              ? config::Task::embedding
                                        : config::Task::generate;
    const auto wish =
        place(wanted, defaults, machine, machine.engine_has_gpus ? GpuUse::all : GpuUse::none);
    return wish.ok() ? Result<Wanted>(std::move(wanted)) : wish.error();
}

Result<Wanted> find(const models::Registry& registry,
                    const RemoteModels& elsewhere,
                    const std::string& name,
                    const config::ModelSettings& defaults,
                    const PlanMachine& machine) {
    const GpuUse llama_cpp = machine.engine_has_gpus ? GpuUse::all : GpuUse::none;
    if (const models::Model* model = registry.find(name); model != nullptr) {
        if (model->broken.has_value()) {
            return model->broken->with(name);
        }
        Wanted wanted = wanted_of(*model, defaults);
        auto wish = place(wanted, defaults, machine, gpu_use_of(*model, llama_cpp));
        if (!wish.ok()) {
            return wish.error();
        }
        if (machine.sizes != nullptr && model->engine == config::EngineKind::llama_cpp) {
            wanted.measured = lookup_of(*model, std::move(*wish), machine);
        }
        return wanted;
    }
    if (const auto remote = elsewhere.find(name); remote != elsewhere.end()) {
        const auto& [reference, looked_at] = *remote;
        if (!looked_at.ok()) {
            return looked_at.error();
        }
        return unplaced({.name = name, .facts = looked_at->facts, .beside = looked_at->companions},
                        defaults,
                        machine);
    }
    const auto spec = planner::facts_of_spec(name);
    if (!spec.has_value()) {
        const std::vector<std::string> nearest = registry.nearest(name);
        const std::string message =
            "there is no model '" + name + "'" +
            (nearest.empty() ? "." : "; did you mean '" + nearest.front() + "'?");
        return Error{ErrorCode::not_found,
                     message +
                         " Without a file, write a size and a quantisation, such as 7b-q4, or "
                         "where it is, such as qwen3:8b or hf.co/ORG/REPO"};
    }
    if (!spec->ok()) {
        return spec->error();
    }
    return unplaced({.name = name, .facts = **spec}, defaults, machine);
}

std::vector<std::string> default_names(const models::Registry& registry) {
    std::vector<std::string> declared;
    std::vector<std::string> all;
    for (const models::Model& model : registry.models()) {
        if (!model.broken.has_value()) {
            all.push_back(model.name);
            if (model.declared) {
                declared.push_back(model.name);
            }
        }
    }
    return declared.empty() ? all : declared;
}

/// Files on the command line become models of the configuration, named after themselves.
std::vector<std::string> declare_files(config::Config& config,
                                       const std::vector<std::string>& names) {
    std::vector<std::string> result;
    for (const std::string& name : names) {
        std::error_code none;
        const std::filesystem::path path(name);
        if (path.extension() == ".gguf" && std::filesystem::exists(path, none)) {
            const std::string model = path.stem().string();
            config.models.push_back({.name = model, .file = std::filesystem::absolute(path, none)});
            result.push_back(model);
        } else {
            result.push_back(name);
        }
    }
    return result;
}

std::vector<std::string> names_of(const planner::Plan& plan) {
    std::vector<std::string> names;
    for (const planner::PlannedModel& model : plan.models) {
        names.push_back(model.name);
    }
    return names;
}

Error bad(const std::string& field, const std::string& what) {
    return {ErrorCode::invalid_argument, "\"" + field + "\" " + what};
}

/// Nullopt for anything that is no whole number, or too large for one.
template <typename Number>
std::optional<Number> number_of(const json::value& value) {
    json::error_code failed;
    const auto number = value.to_number<Number>(failed);
    return failed ? std::nullopt : std::optional(number);
}

/// Replaces the machine's GPUs by others, all of whose memory is the budget.
Status invent_gpus(const std::vector<Bytes>& sizes, PlanMachine& machine) {
    if (sizes.size() >= memory::kDevicesMax) {
        return bad("gpus", "can be " + std::to_string(memory::kDevicesMax - 1) + " at most");
    }
    const Bytes host = machine.devices.budget[memory::kHostDevice];
    machine.devices = {.budget = memory::Footprint::host(host)};
    machine.engine_has_gpus = true;
    for (std::uint32_t i = 0; i < sizes.size(); ++i) {
        machine.devices.gpus.push_back({.slot = i + 1U,
                                        .index = i,
                                        .uuid = "invented",
                                        .name = "invented",
                                        .total = sizes[i],
                                        .budget = sizes[i]});
        machine.devices.budget[i + 1U] = sizes[i];
    }
    return {};
}

/// A whole number from 1 to 2^31 - 1, or unset.
Status read_count(const json::object& request,
                  const char* field,
                  std::optional<std::uint32_t>& into) {
    const json::value* value = request.if_contains(field);
    if (value == nullptr) {
        return {};
    }
    const auto number = number_of<std::int32_t>(*value);
    if (!number.has_value() || *number < 1) {
        return bad(field, "must be a whole number, at least 1");
    }
    into = static_cast<std::uint32_t>(*number);
    return {};
}

Result<std::vector<std::string>> read_models(const json::object& request) {
    std::vector<std::string> names;
    const json::value* models = request.if_contains("models");
    if (models == nullptr) {
        return names;
    }
    const json::array* array = models->if_array();
    if (array == nullptr || array->size() > kModelsMax) {
        return bad("models",
                   "must be an array of at most " + std::to_string(kModelsMax) +
                       " names or specs such as \"7b-q4\"");
    }
    for (const json::value& name : *array) {
        if (!name.is_string()) {
            return bad("models", "must hold names or specs such as \"7b-q4\"");
        }
        names.emplace_back(name.get_string());
    }
    return names;
}

Result<Bytes> read_size(const json::value& value, const std::string& field) {
    if (const json::string* text = value.if_string(); text != nullptr) {
        auto bytes = parse_bytes(*text);
        return bytes.ok() ? std::move(bytes) : Result<Bytes>(bad(field, bytes.error().message));
    }
    const auto number = number_of<std::int64_t>(value);
    if (!number.has_value() || *number < 0) {
        return bad(field, "must be a size such as \"64GiB\", or a number of bytes");
    }
    return Bytes(*number);
}

/// The machine as the client describes it; where it does not, this one.
Status read_machine(const json::object& request, PlanMachine& machine) {
    if (const json::value* value = request.if_contains("budget"); value != nullptr) {
        const auto bytes = read_size(*value, "budget");
        if (!bytes.ok()) {
            return bytes.error();
        }
        machine.devices.budget[memory::kHostDevice] = *bytes;
    }
    const json::value* value = request.if_contains("gpus");
    if (value == nullptr) {
        return {};
    }
    if (!value->is_array()) {
        return bad("gpus", "must be an array of sizes such as \"24GiB\"");
    }
    std::vector<Bytes> sizes;
    for (const json::value& size : value->get_array()) {
        const auto bytes = read_size(size, "gpus");
        if (!bytes.ok()) {
            return bytes.error();
        }
        sizes.push_back(*bytes);
    }
    return invent_gpus(sizes, machine);
}

/// Nothing that a client says is overlooked.
Status check_fields(const json::object& request) {
    constexpr std::array kFields = {
        "models", "budget", "gpus", "context", "parallel", "cache_type"};
    std::string known;
    for (const char* field : kFields) {
        known += (known.empty() ? "" : ", ") + std::string(field);
    }
    for (const auto& field : request) {
        const std::string name(field.key());
        if (std::find(kFields.begin(), kFields.end(), name) == kFields.end()) {
            return bad(name, "is no field of a plan; there are " + known);
        }
    }
    return {};
}

/// This machine, with the GPUs that are asked for.
Result<PlanMachine> machine_of(const config::Config& config, const cli::PlanQuestion& question) {
    config::MemoryConfig memory = config.memory;
    memory.use_gpus = memory.use_gpus && question.gpus.empty();
    auto devices = find_devices(memory);
    if (!devices.ok()) {
        return devices.error();
    }
    PlanMachine machine{.devices = *std::move(devices), .own = own_when_serving()};
    if (auto engine = locate_engine(config); engine.ok()) {
        machine.engine = *std::move(engine);
    }
    if (!question.gpus.empty()) {
        DROVER_TRY(invent_gpus(question.gpus, machine));
    } else {
        machine.engine_has_gpus = computes_on_gpus(machine.engine, machine.devices);
    }
    return machine;
}

}  // namespace

Bytes own_when_serving() {
    const auto own = control::Scales().weigh({}).own;
    return control::own_share((own.has_value() ? own->total : Bytes()) + control::kOwnMemoryStep);
}

memory::SchedulerOptions scheduler_options(const config::Config& config) {
    return {.min_residency = config.memory.min_residency, .max_wait = config.memory.max_wait};
}

std::vector<std::string> remote_names(const models::Registry& registry,
                                      const std::vector<std::string>& names) {
    std::vector<std::string> remote;
    std::copy_if(
        names.begin(), names.end(), std::back_inserter(remote), [&](const std::string& name) {
            const auto reference = store::parse_reference(name);
            return name.find_first_of(":/") != std::string::npos && reference.ok() &&
                   reference->kind != store::ReferenceKind::file &&
                   registry.find(name) == nullptr && !planner::facts_of_spec(name).has_value();
        });
    return remote;
}

std::vector<std::string> remote_names(const models::Registry& registry,
                                      const json::object& request) {
    const auto names = read_models(request);
    return names.ok() ? remote_names(registry, *names) : std::vector<std::string>();
}

RemoteModels look_at(const std::vector<std::string>& names,
                     const store::PullOptions& options,
                     const store::Stopped& stopped) {
    RemoteModels models;
    for (const std::string& name : names) {
        models.emplace(name, store::look_at_remote(name, options, stopped));
    }
    return models;
}

Result<planner::Plan> plan_for(const config::Config& config,
                               const models::Registry& registry,
                               const RemoteModels& elsewhere,
                               const std::vector<std::string>& names,
                               const PlanMachine& machine) {
    std::vector<Wanted> wanted;
    for (const std::string& name : names.empty() ? default_names(registry) : names) {
        auto one = find(registry, elsewhere, name, config.defaults, machine);
        if (!one.ok()) {
            return one.error();
        }
        wanted.push_back(std::move(one).value());
    }
    std::vector<std::string> names_of_devices{"host"};
    for (const control::Device& gpu : machine.devices.gpus) {
        if (!gpu.unified()) {
            names_of_devices.push_back(gpu.label());
        }
    }
    return planner::make_plan(wanted,
                              config.defaults,
                              {.budget = machine.devices.budget,
                               .own = machine.own,
                               .models_max = config.memory.max_models,
                               .devices = std::move(names_of_devices),
                               .cpu = control::processor(),
                               .scheduler = scheduler_options(config)});
}

Result<std::string> plan(const config::Config& config, const cli::PlanQuestion& question) {
    config::Config with_files = config;
    const std::vector<std::string> names = declare_files(with_files, question.models);
    auto machine = machine_of(config, question);
    if (!machine.ok()) {
        return machine.error();
    }
    std::optional<control::MeasuredSizes> sizes;
    if (std::error_code none; std::filesystem::exists(config.memory.measured, none)) {
        machine->sizes = &sizes.emplace(config.memory.measured);
    }
    const models::Registry registry = find_models(with_files);
    const RemoteModels elsewhere =
        look_at(remote_names(registry, names),
                store::pull_options(config.store, platform::process_environment()),
                {});
    const auto planned = plan_for(with_files, registry, elsewhere, names, *machine);
    if (!planned.ok()) {
        return planned.error();
    }
    std::vector<planner::Replayed> replayed;
    if (!question.trace.empty()) {
        const auto text = platform::read_file(question.trace, kTraceMax);
        if (!text.ok()) {
            return text.error().with("--trace");
        }
        const auto arrivals = planner::parse_trace(*text, names_of(*planned), kServiceDefault);
        if (!arrivals.ok()) {
            return arrivals.error().with(question.trace);
        }
        replayed = planner::replay_with_more(*planned, scheduler_options(config), *arrivals);
    }
    return question.json ? json::serialize(planner::to_json(*planned, replayed)) + "\n"
                         : planner::to_text(*planned, replayed);
}

Result<json::object> answer_plan(const config::Config& config,
                                 const models::Registry& registry,
                                 const RemoteModels& elsewhere,
                                 const PlanMachine& machine,
                                 const json::object& request) {
    const auto names = read_models(request);
    if (!names.ok()) {
        return names.error();
    }
    PlanMachine described = machine;
    DROVER_TRY(check_fields(request));
    DROVER_TRY(read_machine(request, described));
    config::Config changed = config;
    DROVER_TRY(read_count(request, "context", changed.defaults.context));
    DROVER_TRY(read_count(request, "parallel", changed.defaults.parallel));
    if (const json::value* type = request.if_contains("cache_type"); type != nullptr) {
        if (!type->is_string()) {
            return bad("cache_type", "must be a type such as \"q8_0\"");
        }
        changed.defaults.cache_type_k = changed.defaults.cache_type_v = type->get_string();
    }
    const auto planned = plan_for(changed, registry, elsewhere, *names, described);
    if (!planned.ok()) {
        return planned.error();
    }
    if (planned->models.size() > kModelsMax) {
        return bad("models", "must be given: there are too many to plan for all");
    }
    return planner::to_json(*planned);
}

}  // namespace drover::app

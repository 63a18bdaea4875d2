#include "app/diagnose.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "app/remote_models.hpp"
#include "app/wiring.hpp"
#include "base/units.hpp"
#include "engines/llama_cpp_locate.hpp"
#include "platform/files.hpp"
#include "platform/memory_probe.hpp"

namespace drover::app {

using cli::Finding;
using Grade = cli::Finding::Grade;

namespace {

std::string_view to_string(engines::EngineSource source) {
    switch (source) {
        case engines::EngineSource::config:
            return "from the configuration";
        case engines::EngineSource::cache:
            return "from the engine cache";
        case engines::EngineSource::path:
            return "from PATH";
    }
    return "";
}

Finding check_engine(const Result<engines::LocatedEngine>& engine, bool needed) {
    if (!engine.ok() && !needed) {
        return {Grade::ok, "engine", "no llama-server, and no model that needs it", ""};
    }
    if (!engine.ok()) {
        return {Grade::failure,
                "engine",
                engine.error().message,
                "run scripts/install-engine, or set engine.llama_server"};
    }
    const std::string found = engine->llama_server.string() + ", llama.cpp " +
                              engine->version.release + ", " +
                              std::string(to_string(engine->source));
    if (!engine->version.known()) {
        return {Grade::warning,
                "engine",
                found,
                "Drover is tested with " + std::string(engines::kLlamaCppRelease)};
    }
    return {Grade::ok, "engine", found, ""};
}

Finding check_memory(const config::Config& config, const Result<Devices>& devices) {
    if (!devices.ok()) {
        return {Grade::failure, "memory", devices.error().message, ""};
    }
    const auto host = platform::host_memory();
    const Bytes budget = devices->budget[memory::kHostDevice];
    std::string message = "budget " + to_string(budget);
    if (host.ok()) {
        message +=
            (config.memory.budget.has_value() ? " as configured; "
                                              : " (what is available minus memory.reserve); ") +
            to_string(host->available) + " of " + to_string(host->total) + " are available";
        if (host->cgroup_limit.has_value()) {
            message += ", limited by the control group";
        }
        if (budget > host->available) {
            return {Grade::warning,
                    "memory",
                    message,
                    "other programs hold a part of it; lower memory.budget or stop them"};
        }
    }
    return {Grade::ok, "memory", message, ""};
}

/// Each GPU, and whether it is of use.
void check_gpus(const Devices& devices,
                bool engine_has_gpus,
                bool needs_engine,
                std::vector<Finding>& findings) {
    if (!devices.problem.empty()) {
        findings.push_back(
            {Grade::warning,
             "GPUs",
             devices.problem,
             "models lie in host memory meanwhile; `nvidia-smi` should list the GPUs"});
    }
    for (const control::Device& gpu : devices.gpus) {
        const std::string has =
            gpu.unified() ? std::string("shares the host's memory")
                          : "budget " + to_string(gpu.budget) + " of " + to_string(gpu.total);
        findings.push_back({Grade::ok, gpu.label(), gpu.name + ", " + gpu.uuid + ", " + has, ""});
    }
    if (!devices.gpus.empty() && needs_engine && !engine_has_gpus) {
        findings.push_back({Grade::warning,
                            "GPUs",
                            "this llama-server cannot compute on them",
                            "set engine.llama_server to one that is built for CUDA"});
    }
}

/// "GPU 0 or GPU 1 or host", the best first, each once.
std::string places_of(const control::ManagedModel& model, const memory::Footprint& budget) {
    std::string text;
    for (std::size_t i = 0; i < model.placements.size(); ++i) {
        if (model.traits.placements[i].footprint.fits(budget)) {
            text += (text.empty() ? "" : " or ") + model.placements[i].where;
        }
    }
    return text;
}

Finding check_model(const models::Model& model,
                    const Result<control::ManagedModel>& managed,
                    const Result<Devices>& devices) {
    const std::string subject = "model " + model.name;
    if (!managed.ok()) {
        return {Grade::failure, subject, managed.error().message, "correct its settings"};
    }
    const std::string needs = managed->view.quantisation + ", context " +
                              std::to_string(managed->view.context) + " x " +
                              std::to_string(managed->view.parallel) + ", needs about " +
                              to_string(managed->view.estimated);
    if (!devices.ok()) {
        return {Grade::ok, subject, needs, ""};
    }
    const std::string places = places_of(*managed, devices->budget);
    if (places.empty()) {
        return {Grade::failure,
                subject,
                needs + ", more than the budget",
                managed->advice(devices->budget.total())};
    }
    return {Grade::ok, subject, needs + (devices->gpus.empty() ? "" : " on " + places), ""};
}

Finding check_runtime(const config::Config& config) {
    const Status status = platform::make_private_directory(config.runtime_dir);
    if (!status.ok()) {
        return {Grade::failure, "sockets", status.error().message, ""};
    }
    return {Grade::ok, "sockets", config.runtime_dir.string(), ""};
}

Finding check_snapshots(const config::Config& config) {
    if (config.snapshots.budget <= Bytes(0)) {
        return {Grade::ok, "snapshots", "off: a model that leaves memory forgets", ""};
    }
    const std::filesystem::path folder = snapshot_directory(config);
    const auto free = platform::free_space(folder);
    const std::string what = "up to " + to_string(config.snapshots.budget) + " in " +
                             folder.string() + ", " +
                             (free.ok() ? to_string(*free) + " free" : free.error().message);
    if (!free.ok() || *free < config.snapshots.budget) {
        return {Grade::warning,
                "snapshots",
                what,
                "fewer conversations than that survive; free some disk space, or set "
                "snapshots.directory or snapshots.budget"};
    }
    return {Grade::ok, "snapshots", what, ""};
}

/// Models that routes name and nobody has.
void check_routes(const config::Config& config,
                  const models::Registry& registry,
                  std::vector<Finding>& findings) {
    for (const config::RouteEntry& route : config.routes) {
        std::string missing;
        std::set<std::string> names;
        for (const config::ModelUse& use : config::uses_of(route)) {
            const bool first = names.insert(use.model).second;
            if (first && registry.find(use.model) == nullptr) {
                missing += (missing.empty() ? "" : ", ") + use.model;
            }
        }
        const std::string subject = "route " + route.name;
        if (missing.empty()) {
            findings.push_back({Grade::ok,
                                subject,
                                "all of its " + std::to_string(names.size()) + " models are there",
                                ""});
        } else {
            findings.push_back({Grade::warning,
                                subject,
                                "these models are not there: " + missing,
                                "pull them, or name others in " + route.where});
        }
    }
}

}  // namespace

std::vector<Finding> diagnose(const config::Config& config) {
    const auto engine = locate_engine(config);
    const auto devices = find_devices(config.memory);
    const Means means{
        .engine = engine.ok() ? *engine : engines::LocatedEngine(),
        .engine_has_gpus = engine.ok() && devices.ok() && computes_on_gpus(*engine, *devices),
        .devices = devices.ok() ? *devices : Devices(),
        .snapshot_dir = {},
        .sleep_dir = {}};
    const models::Registry registry = find_models(config);
    std::vector<Finding> findings{check_engine(engine, needs_llama_cpp(registry)),
                                  check_memory(config, devices),
                                  check_runtime(config),
                                  check_snapshots(config)};
    check_gpus(means.devices, means.engine_has_gpus, needs_llama_cpp(registry), findings);
    for (const std::string& problem : registry.problems()) {
        findings.push_back({Grade::warning, "models", problem, ""});
    }
    if (registry.models().empty()) {
        findings.push_back({Grade::warning,
                            "models",
                            "there are none",
                            "run scripts/fetch-models, put GGUF files into " +
                                (config.cache_dir / "models").string() +
                                ", or name them in the configuration"});
    }
    check_routes(config, registry, findings);
    for (const models::Model& model : registry.models()) {
        if (model.engine == config::EngineKind::remote) {
            continue;  // see check_remotes()
        }
        if (model.broken.has_value()) {
            findings.push_back({Grade::failure,
                                "model " + model.name,
                                model.broken->message,
                                "replace or remove the file"});
        } else {
            findings.push_back(check_model(model, manage_model(config, model, means), devices));
        }
    }
    for (Finding& finding : check_remotes(config)) {
        findings.push_back(std::move(finding));
    }
    return findings;
}

}  // namespace drover::app

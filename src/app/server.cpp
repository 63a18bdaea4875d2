#include "app/server.hpp"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/signal_set.hpp>

#include "app/model_library.hpp"
#include "app/model_watch.hpp"
#include "app/plan.hpp"
#include "app/remote_models.hpp"
#include "app/wiring.hpp"
#include "base/address.hpp"
#include "base/units.hpp"
#include "control/control_loop.hpp"
#include "control/snapshot_folder.hpp"
#include "gateway/server.hpp"
#include "planner/report.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/files.hpp"
#include "platform/leftovers.hpp"
#include "platform/log.hpp"
#include "platform/memory_probe.hpp"
#include "platform/task_scope.hpp"

namespace drover::app {

namespace log = platform::log;

namespace {

/// Threads for what blocks: measurements, large bodies.
constexpr std::size_t kPoolThreads = 2;

/// Exit status when the configuration cannot work.
constexpr int kCannotStart = 2;

int fail(const Error& error) {
    std::fprintf(stderr, "drover: %s\n", error.message.c_str());
    return 1;
}

Status configure_log(const config::LogConfig& config) {
    const auto level = log::parse_level(config.level);
    if (!level.ok()) {
        return level.error();
    }
    return log::configure(*level, config.file);
}

/// Servers on different ports do not share engines: each has a folder of its own.
std::filesystem::path runtime_directory(const config::Config& config) {
    const std::string own = config.listen_port != 0 ? std::to_string(config.listen_port)
                                                    : "pid-" + std::to_string(platform::own_pid());
    return config.runtime_dir / own;
}

/// `auto` took all but the reserve. Half of that may go before anybody has to leave.
std::optional<control::KeptFree> kept_free(const config::MemoryConfig& config) {
    if (!config.give_back) {
        return std::nullopt;
    }
    return control::KeptFree{.host = Bytes(config.reserve.count() / 2),
                             .gpu = Bytes(config.gpu_reserve.count() / 2)};
}

/// What has to be told of the devices at the start.
void log_devices(const Devices& devices, bool engine_has_gpus) {
    const Bytes budget = devices.budget[memory::kHostDevice];
    if (const auto host = platform::host_memory(); host.ok() && budget > host->total) {
        log::warn("memory.budget_above_machine",
                  {{"budget", to_string(budget)}, {"machine", to_string(host->total)}});
    }
    if (!devices.problem.empty()) {
        log::warn("gpus.problem", {{"problem", devices.problem}});
    }
    for (const control::Device& gpu : devices.gpus) {
        log::info("gpu.found",
                  {{"gpu", gpu.index},
                   {"uuid", gpu.uuid},
                   {"name", gpu.name},
                   {"budget", to_string(gpu.budget)},
                   {"llama_server_uses_it", engine_has_gpus}});
    }
}

/// The folder for snapshots, or nothing when none are to be kept or it cannot be used: models are
/// served without.
std::optional<control::SnapshotFolder> claim_snapshots(const config::Config& config) {
    if (config.snapshots.budget <= Bytes(0)) {
        return std::nullopt;
    }
    auto folder = control::SnapshotFolder::open(snapshot_directory(config));
    if (!folder.ok()) {
        log::warn("snapshots.off", {{"cause", folder.error().message}});
        return std::nullopt;
    }
    return std::move(*folder);
}

/// The folder for weights of engines that sleep, or nothing when it cannot be used: they keep them
/// in memory.
std::filesystem::path make_sleep_directory(const config::Config& config) {
    std::filesystem::path path = sleep_directory(config);
    if (const Status status = platform::make_private_directory(path); !status.ok()) {
        log::warn("sleep.in_memory", {{"cause", status.error().message}});
        return {};
    }
    return path;
}

/// Everything that lives as long as the loop runs.
class Service {
  public:
    Service(const config::Config& config,
            control::ControlOptions options,
            models::Registry registry,
            std::vector<control::ManagedModel> models,
            gateway::ServerOptions gateway_options,
            ManageModels manage,
            PlanMachine machine)
        : pool_(kPoolThreads),
          control_(loop_, pool_, std::move(options), registry, std::move(models)),
          model_watch_(loop_, pool_, control_, config, std::move(manage), std::move(registry)),
          library_(loop_, config, model_watch_),
          gateway_(loop_,
                   control_,
                   library_,
                   with_plan(std::move(gateway_options), config, std::move(machine))),
          signals_(loop_, SIGINT, SIGTERM),
          host_(config.listen_host),
          tasks_(loop_) {}

    Status run() {
        if (const Status status = gateway_.start(); !status.ok()) {
            return status;
        }
        control_.start();
        model_watch_.start();
        tasks_.spawn("app.stop", [this] { return stop_on_signal(); });
        const std::string address = join_address(host_, gateway_.port());
        std::printf("drover listening on http://%s\n", address.c_str());
        std::fflush(stdout);
        log::info("server.listening", {{"address", address}});
        loop_.run();
        return {};
    }

  private:
    gateway::ServerOptions with_plan(gateway::ServerOptions options,
                                     const config::Config& config,
                                     PlanMachine machine) {
        options.plan = [this, &config, machine = std::move(machine)](boost::json::object request) {
            return plan(config, machine, std::move(request));
        };
        return options;
    }

    platform::Task<Result<boost::json::object>> plan(const config::Config& config,
                                                     const PlanMachine& machine,
                                                     boost::json::object request) {
        RemoteModels elsewhere;
        if (auto names = remote_names(model_watch_.registry(), request); !names.empty()) {
            elsewhere = co_await library_.look_at(std::move(names));
        }
        co_return answer_plan(config, model_watch_.registry(), elsewhere, machine, request);
    }

    platform::Task<> stop_on_signal() {
        const auto [error, signal] = co_await signals_.async_wait(platform::as_result);
        log::info("server.stopping", {{"signal", signal}});
        // Whoever asks twice does not want to wait: the engines die with this process.
        signals_.async_wait([](const boost::system::error_code& failed, int again) {
            if (!failed) {
                std::_Exit(128 + again);
            }
        });
        // Both at once: waiting requests are refused while running ones may finish.
        using boost::asio::experimental::awaitable_operators::operator&&;
        library_.stop();
        co_await model_watch_.stop();
        co_await (control_.stop() && gateway_.stop());
        signals_.cancel();
        log::info("server.stopped");
    }

    platform::Loop loop_{1};
    platform::BlockingPool pool_;
    control::ControlLoop control_;
    ModelWatch model_watch_;
    ModelLibrary library_;
    gateway::Server gateway_;
    boost::asio::basic_signal_set<platform::Executor> signals_;
    std::string host_;
    platform::TaskScope tasks_;
};

bool any_declared(const models::Registry& registry) {
    return std::any_of(registry.models().begin(), registry.models().end(), [](const auto& model) {
        return model.declared;
    });
}

/// Strategy concurrent: every declared model (every model, when none is declared) is loaded at the
/// start and stays. Fails with a plan when they do not fit together, or when one cannot be served.
Status check_all_fit(const config::Config& config,
                     const models::Registry& registry,
                     const PlanMachine& machine) {
    for (const models::Model& model : registry.models()) {
        if (model.declared && model.broken.has_value()) {
            return model.broken->with("memory.strategy is concurrent, but " + model.name);
        }
    }
    const auto plan = plan_for(config, registry, {}, {}, machine);
    if (!plan.ok()) {
        return plan.error().with("memory.strategy is concurrent");
    }
    if (!plan->fits) {
        return Error{ErrorCode::insufficient_memory,
                     "memory.strategy is concurrent, but " + planner::refusal(*plan)};
    }
    return {};
}

void pin_all(const models::Registry& registry, std::vector<control::ManagedModel>& models) {
    const bool only_declared = any_declared(registry);
    for (control::ManagedModel& model : models) {
        const models::Model* known = registry.find(model.id);
        if (!only_declared || (known != nullptr && known->declared)) {
            model.traits.pinned = model.preload = true;
        }
    }
}

}  // namespace

int run_server(const config::Config& config) {
    if (const Status status = configure_log(config.log); !status.ok()) {
        return fail(status.error());
    }
    const auto runtime = platform::RuntimeDirectory::claim(runtime_directory(config));
    if (!runtime.ok()) {
        return fail(runtime.error());
    }
    const auto devices = find_devices(config.memory);
    if (!devices.ok()) {
        return fail(devices.error());
    }
    models::Registry registry = find_models(config);
    const auto located = locate_engine(config);
    if (!located.ok() && needs_llama_cpp(registry)) {
        return fail(located.error());
    }
    const engines::LocatedEngine engine = located.ok() ? *located : engines::LocatedEngine();
    for (const std::string& problem : registry.problems()) {
        log::warn("models.problem", {{"problem", problem}});
    }
    const auto sizes = std::make_shared<control::MeasuredSizes>(config.memory.measured);
    if (!sizes->problem().empty()) {
        log::warn("sizes.problem", {{"problem", sizes->problem()}});
    }
    const auto snapshots = claim_snapshots(config);
    const Means means{
        .engine = engine,
        .engine_has_gpus = computes_on_gpus(engine, *devices),
        .devices = *devices,
        .snapshot_dir = snapshots.has_value() ? snapshots->path() : std::filesystem::path(),
        .sleep_dir = make_sleep_directory(config),
        .sizes = sizes.get()};
    log_devices(*devices, means.engine_has_gpus);
    const ManageModels manage = [&](models::Registry& known) {
        auto managed = manage_models(config, known, means);
        if (config.memory.strategy == config::Strategy::concurrent) {
            pin_all(known, managed);
        }
        return managed;
    };
    std::vector<control::ManagedModel> models = manage(registry);
    const PlanMachine machine{.devices = *devices,
                              .engine = engine,
                              .engine_has_gpus = means.engine_has_gpus,
                              .sizes = sizes.get(),
                              .own = own_when_serving()};
    log::info("server.starting",
              {{"engine", engine.llama_server.string()},
               {"budget", to_string(devices->budget[memory::kHostDevice])},
               {"models", models.size()}});
    if (config.memory.strategy == config::Strategy::concurrent) {
        if (const Status status = check_all_fit(config, registry, machine); !status.ok()) {
            fail(status.error());
            return kCannotStart;
        }
    }
    control::ControlOptions options{.scheduler = scheduler_options(config),
                                    .budget = devices->budget,
                                    .gpus = devices->gpus,
                                    .gpu_probe = devices->probe,
                                    .kept_free = kept_free(config.memory),
                                    .models_max = config.memory.max_models,
                                    .runtime_dir = runtime->path(),
                                    .snapshots = {.folder = means.snapshot_dir,
                                                  .budget = config.snapshots.budget,
                                                  .time_limit = config.snapshots.time_limit},
                                    .load_timeout = config.engine.load_timeout,
                                    .sizes = sizes,
                                    .remotes = remote_groups(config)};
    options.with_context = [&](const models::Model& model, std::uint32_t context) {
        return manage_with_context(config, model, context, means);
    };
    Service service(config,
                    std::move(options),
                    std::move(registry),
                    std::move(models),
                    gateway::server_options(config),
                    manage,
                    machine);
    const Status served = service.run();
    return served.ok() ? 0 : fail(served.error());
}

}  // namespace drover::app

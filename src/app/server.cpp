#include "app/server.hpp"

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/signal_set.hpp>

#include "app/wiring.hpp"
#include "base/units.hpp"
#include "control/control_loop.hpp"
#include "gateway/server.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "platform/task_scope.hpp"

namespace drover::app {

namespace log = platform::log;

namespace {

/// Threads for what blocks: measurements, large bodies.
constexpr std::size_t kPoolThreads = 2;

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

/// Everything that lives as long as the loop runs.
class Service {
  public:
    Service(const config::Config& config,
            control::ControlOptions options,
            models::Registry registry,
            std::vector<control::ManagedModel> models)
        : pool_(kPoolThreads),
          control_(loop_, pool_, std::move(options), std::move(registry), std::move(models)),
          gateway_(loop_, control_, pool_, config),
          signals_(loop_, SIGINT, SIGTERM),
          tasks_(loop_) {}

    Status run() {
        const auto address = gateway_.listen();
        if (!address.ok()) {
            return address.error();
        }
        control_.start();
        tasks_.spawn("app.stop", [this] { return stop_on_signal(); });
        std::printf("drover listening on http://%s\n", address->c_str());
        std::fflush(stdout);
        log::info("server.listening", {{"address", *address}});
        loop_.run();
        return {};
    }

  private:
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
        tasks_.spawn("app.drain", [this] { return control_.stop(); });
        co_await gateway_.stop();
        while (tasks_.size() > 1) {
            co_await drained_.wait();
        }
        signals_.cancel();
        log::info("server.stopped");
    }

    platform::Loop loop_{1};
    platform::BlockingPool pool_;
    control::ControlLoop control_;
    gateway::Server gateway_;
    boost::asio::basic_signal_set<platform::Executor> signals_;
    platform::Notifier drained_{loop_};
    platform::TaskScope tasks_;
};

}  // namespace

int run_server(const config::Config& config) {
    if (const Status status = configure_log(config.log); !status.ok()) {
        return fail(status.error());
    }
    if (const Status status = platform::make_private_directory(config.runtime_dir); !status.ok()) {
        return fail(status.error());
    }
    const auto engine = locate_engine(config);
    if (!engine.ok()) {
        return fail(engine.error());
    }
    const auto budget = memory_budget(config.memory);
    if (!budget.ok()) {
        return fail(budget.error());
    }
    models::Registry registry = models::Registry::scan(config);
    for (const std::string& problem : registry.problems()) {
        log::warn("models.problem", {{"problem", problem}});
    }
    std::vector<control::ManagedModel> models = manage_models(config, registry, *engine);
    log::info("server.starting",
              {{"engine", engine->llama_server.string()},
               {"budget", to_string(budget->total())},
               {"models", models.size()}});
    control::ControlOptions options{
        .scheduler = {.min_residency = config.memory.min_residency, .max_wait = config.memory.max_wait},
        .budget = *budget,
        .runtime_dir = config.runtime_dir,
        .load_timeout = config.engine.load_timeout};
    Service service(config, std::move(options), std::move(registry), std::move(models));
    const Status served = service.run();
    return served.ok() ? 0 : fail(served.error());
}

}  // namespace drover::app

#include "cli/cli.hpp"

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "base/address.hpp"
#include "base/nearest.hpp"
#include "cli/context.hpp"
#include "platform/paths.hpp"

#ifndef DROVER_VERSION
#error "the build defines DROVER_VERSION"
#endif

namespace drover::cli {

namespace {

constexpr int kUsageError = 2;

Client client_of(const std::string& address) {
    return Client(address.find("://") == std::string::npos ? "http://" + address : address);
}

int refuse_command(const CLI::App& app, const std::string& word) {
    std::vector<std::string> commands;
    for (const CLI::App* command : app.get_subcommands(nullptr)) {
        commands.push_back(command->get_name());
    }
    const std::vector<std::string> nearest = nearest_names(word, commands, 1);
    std::fprintf(stderr,
                 "drover: there is no command '%s'%s; `drover --help` lists them\n",
                 word.c_str(),
                 nearest.empty() ? "" : (", did you mean '" + nearest.front() + "'?").c_str());
    return kUsageError;
}

}  // namespace

config::Loaded Context::load() const {
    const platform::Environment environment = platform::process_environment();
    config::Sources sources;
    sources.file = config_file.empty() ? environment("DROVER_CONFIG").value_or("") : config_file;
    sources.search = {"drover.yaml", platform::config_directory(environment) / "drover.yaml"};
    sources.environment = environment;
    sources.cache_dir = platform::cache_directory(environment);
    sources.runtime_dir = platform::runtime_directory(environment);
    sources.flags = flags;
    for (const std::string& setting : settings) {
        const std::size_t equals = setting.find('=');
        sources.flags.emplace_back(setting.substr(0, equals),
                                   equals == std::string::npos ? "" : setting.substr(equals + 1));
    }
    return config::load(sources);
}

std::optional<config::Config> Context::config() {
    config::Loaded loaded = load();
    for (const config::Problem& warning : loaded.warnings) {
        std::fprintf(stderr, "warning: %s\n", warning.to_string().c_str());
    }
    if (!report(loaded.problems)) {
        return std::nullopt;
    }
    return std::move(loaded.config);
}

std::optional<config::Config> Context::checked_config() {
    std::optional<config::Config> loaded = config();
    if (loaded.has_value() && !report(services.check(*loaded))) {
        return std::nullopt;
    }
    return loaded;
}

bool Context::report(const std::vector<config::Problem>& problems) {
    for (const config::Problem& problem : problems) {
        std::fprintf(stderr, "%s\n", problem.to_string().c_str());
    }
    if (!problems.empty()) {
        exit_status = kUsageError;
    }
    return problems.empty();
}

std::optional<Client> Context::named_server() const {
    const std::string address =
        host.empty() ? platform::process_environment()("DROVER_HOST").value_or("") : host;
    return address.empty() ? std::nullopt : std::optional(client_of(address));
}

std::optional<Client> Context::client() {
    if (auto named = named_server()) {
        return named;
    }
    const auto loaded = config();
    if (!loaded.has_value()) {
        return std::nullopt;
    }
    return client_of(join_address(loaded->listen_host, loaded->listen_port));
}

void Context::tell_server() {
    if (const auto server = client()) {
        // A server that does not hear it sees what has changed by itself, a moment later.
        static_cast<void>(server->post("/admin/refresh", boost::json::object()));
    }
}

void Context::fail(const Error& error) {
    std::fprintf(stderr, "drover: %s\n", error.message.c_str());
    exit_status = 1;
}

int run(int argc, const char* const* argv, const Services& services) {
    Context context{.services = services};
    CLI::App app("Drover runs many local language models as one service, under one memory budget.",
                 "drover");
    app.require_subcommand(1);
    app.fallthrough();  // what is for every command may stand behind it, too
    app.set_version_flag("--version", "drover " DROVER_VERSION);
    app.add_option("-c,--config",
                   context.config_file,
                   "Configuration file (default: ./drover.yaml, then the user's)");
    app.add_option("--set",
                   context.settings,
                   "A setting as PATH=VALUE, for instance memory.budget=8GiB; repeatable")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option(
        "--host",
        context.host,
        "Server to talk to, whose models pull, push, show, cp and rm then mean (default: what the "
        "configuration says, and this machine's store)");
    add_serve(app, context);
    add_run(app, context);
    add_pull(app, context);
    add_push(app, context);
    add_list(app, context);
    add_show(app, context);
    add_copy(app, context);
    add_remove(app, context);
    add_prune(app, context);
    add_ps(app, context);
    add_plan(app, context);
    add_load(app, context);
    add_stop(app, context);
    add_doctor(app, context);
    add_route(app, context);
    add_config(app, context);
    add_import(app, context);
    try {
        app.parse(argc, argv);
    } catch (const CLI::RequiredError& error) {
        const std::vector<std::string> rest = app.remaining();
        if (rest.empty() || !app.get_subcommands().empty()) {
            return app.exit(error) == 0 ? 0 : kUsageError;
        }
        return refuse_command(app, rest.front());
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsageError;
    }
    return context.exit_status;
}

}  // namespace drover::cli

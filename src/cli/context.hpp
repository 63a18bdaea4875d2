// What all commands share: the flags before the command, and the config and client they lead to.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/cli.hpp"
#include "cli/client.hpp"
#include "config/load.hpp"

namespace drover::cli {

/// Lives as long as the command line is parsed and run.
struct Context {
    const Services& services;
    std::string config_file;
    std::vector<std::string> settings;  ///< "memory.budget=4GiB"
    std::vector<std::pair<std::string, std::string>>
        flags;         ///< (path, text) of a command's own flags
    std::string host;  ///< of the server to talk to
    int exit_status = 0;

    /// File, environment and flags together.
    config::Loaded load() const;

    /// The config, or nothing when it has problems: they are printed and `exit_status` is 2.
    std::optional<config::Config> config();

    /// The same; problems in files that it names count, too.
    std::optional<config::Config> checked_config();

    /// A client of --host, DROVER_HOST, or the address that the config says.
    std::optional<Client> client();

    /// The server whose models are meant because --host or DROVER_HOST names it; nothing when those
    /// of this machine's store are.
    std::optional<Client> named_server() const;

    /// Tells a running server that there are other models; without one, does nothing.
    void tell_server();

    /// Prints the problems, if any, and sets `exit_status` then. True: there are none.
    bool report(const std::vector<config::Problem>& problems);

    /// Prints the error and sets `exit_status`.
    void fail(const Error& error);
};

void add_serve(CLI::App& app, Context& context);
void add_run(CLI::App& app, Context& context);
void add_pull(CLI::App& app, Context& context);
void add_push(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_copy(CLI::App& app, Context& context);
void add_remove(CLI::App& app, Context& context);
void add_prune(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_ps(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_load(CLI::App& app, Context& context);
void add_stop(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_route(CLI::App& app, Context& context);
void add_route_explain(CLI::App& route, Context& context);
void add_config(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);

}  // namespace drover::cli

#include <cstdio>
#include <memory>

#include "base/address.hpp"
#include "cli/context.hpp"

namespace drover::cli {

void add_serve(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("serve", "Run the server");
    const auto flag = [command, &context](const char* name, const char* path, const char* help) {
        command->add_option_function<std::string>(
            name,
            [&context, path](const std::string& text) { context.flags.emplace_back(path, text); },
            help);
    };
    flag("--listen", "listen", "Address and port, for instance 127.0.0.1:11435");
    flag(
        "--budget", "memory.budget", "Memory for all models together, for instance 12GiB, or auto");
    flag("--models-dir", "models_dir", "Directory with GGUF files");
    flag("--log-level", "log.level", "debug, info, warn or error");
    const auto check = std::make_shared<bool>(false);
    command->add_flag(
        "--check", *check, "Check the configuration, say where it would listen, and end");
    command->callback([&context, check] {
        if (const auto config = context.checked_config(); config.has_value() && *check) {
            std::printf("drover would listen on http://%s\n",
                        join_address(config->listen_host, config->listen_port).c_str());
        } else if (config.has_value()) {
            context.exit_status = context.services.serve(*config);
        }
    });
}

}  // namespace drover::cli

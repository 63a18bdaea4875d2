#include <cstdio>

#include "cli/context.hpp"

namespace drover::cli {

void add_config(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("config", "Check or explain the configuration");
    command->require_subcommand(1);
    command->add_subcommand("check", "Report every problem with its place")->callback([&context] {
        if (const auto config = context.checked_config()) {
            std::printf("%s: fine, %zu models declared\n",
                        config->source.empty() ? "no configuration file" : config->source.c_str(),
                        config->models.size());
            for (const std::string& note : context.load().notes) {
                std::printf("%s\n", note.c_str());
            }
        }
    });
    command->add_subcommand("reference", "Print every setting as Markdown")->callback([] {
        std::fputs(config::reference().c_str(), stdout);
    });
}

}  // namespace drover::cli

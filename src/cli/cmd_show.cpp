#include <cstdio>
#include <memory>
#include <string>

#include "cli/context.hpp"
#include "cli/remote_store.hpp"

namespace drover::cli {

void add_show(CLI::App& app, Context& context) {
    CLI::App* command =
        app.add_subcommand("show", "Show what a model is, where it lies and what memory it takes");
    const auto model = std::make_shared<std::string>();
    command->add_option("MODEL", *model, "Name of the model")->required();
    command->callback([&context, model] {
        const auto server = context.named_server();
        const auto config = server ? std::nullopt : context.config();
        if (!server && !config) {
            return;
        }
        const auto text =
            server ? remote_describe(*server, *model) : context.services.describe(*config, *model);
        if (text.ok()) {
            std::fputs(text->c_str(), stdout);
        } else {
            context.fail(text.error());
        }
    });
}

}  // namespace drover::cli

#include <cstdio>
#include <memory>
#include <string>

#include "cli/context.hpp"

namespace drover::cli {

void add_show(CLI::App& app, Context& context) {
    CLI::App* command =
        app.add_subcommand("show", "Show what a model is, where it lies and what memory it takes");
    const auto model = std::make_shared<std::string>();
    command->add_option("MODEL", *model, "Name of the model")->required();
    command->callback([&context, model] {
        const auto config = context.config();
        if (!config.has_value()) {
            return;
        }
        const auto text = context.services.describe(*config, *model);
        if (text.ok()) {
            std::fputs(text->c_str(), stdout);
        } else {
            context.fail(text.error());
        }
    });
}

}  // namespace drover::cli

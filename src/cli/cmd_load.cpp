#include <cstdio>

#include "base/units.hpp"
#include "cli/context.hpp"
#include "cli/json_read.hpp"

namespace drover::cli {

namespace {

/// A command that posts its MODEL to `path` and prints what `describe` makes of the answer.
void add_model_command(CLI::App& app,
                       Context& context,
                       const char* name,
                       const char* help,
                       const char* path,
                       std::string (*describe)(const std::string& model,
                                               const boost::json::value& answer)) {
    CLI::App* command = app.add_subcommand(name, help);
    const auto model = std::make_shared<std::string>();
    command->add_option("MODEL", *model, "Name of the model")->required();
    command->callback([&context, model, path, describe] {
        const auto client = context.client();
        if (!client.has_value()) {
            return;
        }
        const auto answer = client->post(path, {{"model", *model}});
        if (!answer.ok()) {
            context.fail(answer.error());
        } else {
            std::printf("%s\n", describe(*model, *answer).c_str());
        }
    });
}

}  // namespace

void add_load(CLI::App& app, Context& context) {
    add_model_command(
        app,
        context,
        "load",
        "Bring a model into memory; returns when it is ready",
        "/admin/load",
        [](const std::string& model, const boost::json::value&) { return model + " is ready"; });
}

void add_stop(CLI::App& app, Context& context) {
    add_model_command(app,
                      context,
                      "stop",
                      "Take a model out of memory; returns when the memory is free",
                      "/admin/unload",
                      [](const std::string& model, const boost::json::value& answer) {
                          const Bytes freed(number(answer, "freed"));
                          return freed == Bytes(0)
                                     ? model + " was not in memory"
                                     : model + " has left, " + to_string(freed) + " freed";
                      });
}

}  // namespace drover::cli

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/units.hpp"
#include "cli/context.hpp"

namespace drover::cli {

namespace {

/// A flag of this command that stands for a setting of the configuration.
void add_setting(CLI::App& command,
                 Context& context,
                 const char* flag,
                 std::vector<std::string> paths,
                 const char* help) {
    command.add_option_function<std::string>(
        flag,
        [&context, paths = std::move(paths)](const std::string& text) {
            for (const std::string& path : paths) {
                context.flags.emplace_back(path, text);
            }
        },
        help);
}

}  // namespace

void add_plan(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand(
        "plan", "Say which models fit into memory together, and what it costs when they do not");
    const auto question = std::make_shared<PlanQuestion>();
    command->add_option("MODEL",
                        question->models,
                        "Names, GGUF files, or sizes such as 7b-q4, 70b:Q4_K_M or embedding, most "
                        "important first; without any: those of the configuration");
    add_setting(*command,
                context,
                "--budget",
                {"memory.budget"},
                "Memory to plan for, such as 64GiB; without it: this machine's");
    add_setting(*command, context, "--context", {"defaults.context"}, "Tokens of one request");
    add_setting(
        *command, context, "--parallel", {"defaults.parallel"}, "Requests at once, each model");
    add_setting(*command,
                context,
                "--cache-type",
                {"defaults.cache_type_k", "defaults.cache_type_v"},
                "Type of the KV cache: f16, q8_0, ...");
    const auto gpus = std::make_shared<std::vector<std::string>>();
    command
        ->add_option("--gpu",
                     *gpus,
                     "A GPU to plan for, such as 24GiB; repeatable; without any: this machine's")
        ->allow_extra_args(false);
    command->add_option(
        "--trace", question->trace, "Requests to replay: lines SECONDS,MODEL[,SERVICE_SECONDS]");
    command->add_flag("--json", question->json, "For programs");
    command->callback([&context, question, gpus] {
        const auto config = context.config();
        if (!config.has_value()) {
            return;
        }
        for (const std::string& gpu : *gpus) {
            const auto bytes = parse_bytes(gpu);
            if (!bytes.ok()) {
                context.fail(bytes.error().with("--gpu"));
                return;
            }
            question->gpus.push_back(*bytes);
        }
        const auto text = context.services.plan(*config, *question);
        if (text.ok()) {
            std::fputs(text->c_str(), stdout);
        } else {
            context.fail(text.error());
        }
    });
}

}  // namespace drover::cli

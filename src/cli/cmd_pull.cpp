#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress_view.hpp"
#include "cli/remote_store.hpp"
#include "platform/paths.hpp"
#include "store/options.hpp"
#include "store/pull.hpp"

namespace drover::cli {

namespace {

struct PullArguments {
    std::string reference;
    std::string name;
    bool insecure = false;
};

Status pull_there(const Client& server, const PullArguments& asked) {
    if (!asked.name.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "--name is for this machine's store; `drover cp` gives it another name there"};
    }
    const InterruptGuard guard;
    ProgressView view;
    const Status pulled = remote_pull(
        server,
        asked.reference,
        asked.insecure,
        [&view](const store::Progress& progress) { view.show(progress); },
        [] { return InterruptGuard::interrupted(); });
    view.end();
    return pulled;
}

Result<store::ModelName> pull(const config::Config& config, const PullArguments& asked) {
    auto reference = store::parse_reference(asked.reference);
    if (!reference.ok()) {
        return reference.error();
    }
    store::PullOptions options = store::pull_options(config.store, platform::process_environment());
    options.insecure = asked.insecure;
    if (!asked.name.empty()) {
        auto name = store::parse_model_name(asked.name);
        if (!name.ok()) {
            return name.error();
        }
        options.name = std::move(*name);
    }
    const InterruptGuard guard;
    ProgressView view;
    auto pulled = store::pull(
        store::Store(config.store.dir),
        *reference,
        options,
        [&view](const store::Progress& progress) { view.show(progress); },
        [] { return InterruptGuard::interrupted(); });
    view.end();
    return pulled;
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("pull", "Bring a model into the store");
    const auto asked = std::make_shared<PullArguments>();
    command
        ->add_option("MODEL",
                     asked->reference,
                     "qwen3:8b, hf.co/ORG/REPO:Q4_K_M, https://HOST/MODEL.gguf or ./MODEL.gguf")
        ->required();
    command->add_option("--name", asked->name, "What to call it here");
    command->add_flag("--insecure", asked->insecure, "Allow plain HTTP to other machines");
    command->callback([&context, asked] {
        if (const auto server = context.named_server()) {
            const Status pulled = pull_there(*server, *asked);
            if (pulled.ok()) {
                std::printf("%s is there\n", asked->reference.c_str());
            } else {
                context.fail(pulled.error());
            }
            return;
        }
        const auto config = context.config();
        if (!config.has_value()) {
            return;
        }
        const auto pulled = pull(*config, *asked);
        if (pulled.ok()) {
            context.tell_server();
            std::printf("%s is there\n", pulled->display().c_str());
        } else {
            context.fail(pulled.error());
        }
    });
}

}  // namespace drover::cli

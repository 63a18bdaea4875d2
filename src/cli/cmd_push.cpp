#include <cstdio>
#include <memory>
#include <string>

#include "cli/context.hpp"
#include "cli/interrupt.hpp"
#include "cli/progress_view.hpp"
#include "cli/remote_store.hpp"
#include "platform/paths.hpp"
#include "store/options.hpp"
#include "store/push.hpp"

namespace drover::cli {

namespace {

struct PushArguments {
    std::string model;
    std::string destination;  ///< empty: as the model is called
    bool insecure = false;
};

Status push_from_here(const config::Config& config,
                      const PushArguments& asked,
                      const store::OnProgress& on_progress,
                      const store::Stopped& stopped) {
    const auto target =
        store::parse_reference(asked.destination.empty() ? asked.model : asked.destination);
    if (!target.ok()) {
        return target.error();
    }
    store::ModelName name = target->name;
    if (!asked.destination.empty()) {
        const auto here = store::parse_model_name(asked.model);
        if (!here.ok()) {
            return here.error();
        }
        name = *here;
    }
    store::PullOptions options = store::pull_options(config.store, platform::process_environment());
    options.insecure = asked.insecure;
    return store::push(
        store::Store(config.store.dir), name, *target, options, on_progress, stopped);
}

Status push_from_there(const Client& server,
                       const PushArguments& asked,
                       const store::OnProgress& on_progress,
                       const store::Stopped& stopped) {
    if (!asked.destination.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "from another server a model goes where its name says; `drover cp` it to '" +
                         asked.destination + "' first, then push that"};
    }
    return remote_push(server, asked.model, asked.insecure, on_progress, stopped);
}

}  // namespace

void add_push(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("push", "Bring a model of the store into a registry");
    const auto asked = std::make_shared<PushArguments>();
    command->add_option("MODEL", asked->model, "[http://]HOST/NAMESPACE/MODEL:TAG, or")->required();
    command->add_option(
        "DESTINATION", asked->destination, "the same, when MODEL is called otherwise");
    command->add_flag("--insecure", asked->insecure, "Allow plain HTTP to other machines");
    command->callback([&context, asked] {
        const auto server = context.named_server();
        const auto config = server ? std::nullopt : context.config();
        if (!server && !config) {
            return;
        }
        const InterruptGuard guard;
        ProgressView view;
        const store::OnProgress tell = [&view](const store::Progress& progress) {
            view.show(progress);
        };
        const auto stopped = [] {
            return InterruptGuard::interrupted();
        };
        const Status pushed = server ? push_from_there(*server, *asked, tell, stopped)
                                     : push_from_here(*config, *asked, tell, stopped);
        view.end();
        if (pushed.ok()) {
            std::printf("%s is there\n",
                        (asked->destination.empty() ? asked->model : asked->destination).c_str());
        } else {
            context.fail(pushed.error());
        }
    });
}

}  // namespace drover::cli

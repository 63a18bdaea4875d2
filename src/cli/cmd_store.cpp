// cp, rm, prune: what can be done with models in the store.
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "base/units.hpp"
#include "cli/context.hpp"
#include "cli/json_read.hpp"
#include "cli/remote_store.hpp"
#include "store/store.hpp"

namespace drover::cli {

namespace {

Status copy(const config::Config& config, const std::string& from, const std::string& to) {
    const auto source = store::parse_model_name(from);
    if (!source.ok()) {
        return source.error();
    }
    const auto target = store::parse_model_name(to);
    if (!target.ok()) {
        return target.error();
    }
    return store::Store(config.store.dir).copy(*source, *target);
}

/// The name of the model that a running server has in memory under `name`, if it does.
std::optional<std::string> in_memory(const Client& client, const std::string& name) {
    const auto models = client.get("/admin/models");
    if (!models.ok()) {
        return std::nullopt;  // without a server nothing is in memory
    }
    for (const boost::json::value& model : elements(*models, "models")) {
        boost::json::array names = elements(model, "aliases");
        names.emplace_back(text(model, "name"));
        const bool cold = text(model, "state") == "cold";
        for (const boost::json::value& one : names) {
            const std::string_view known =
                one.is_string() ? std::string_view(one.get_string()) : "";
            if (!cold && (equals_ignoring_case(known, name) ||
                          equals_ignoring_case(known, name + ":latest"))) {
                return text(model, "name");
            }
        }
    }
    return std::nullopt;
}

Status make_unused(const Client& client, const std::string& name, bool force) {
    const auto resident = in_memory(client, name);
    if (!resident.has_value()) {
        return {};
    }
    if (!force) {
        return Error{ErrorCode::unavailable,
                     "'" + name + "' is in memory; `drover stop " + *resident +
                         "` takes it out, or `drover rm --force` does both"};
    }
    const auto unloaded = client.post("/admin/unload", {{"model", *resident}});
    return unloaded.ok() ? Status() : Status(unloaded.error());
}

Result<Bytes> remove(const config::Config& config,
                     const Client& client,
                     const std::string& text,
                     bool force) {
    const auto name = store::parse_model_name(text);
    if (!name.ok()) {
        return name.error();
    }
    const store::Store store(config.store.dir);
    const auto entry = store.find(*name);
    if (!entry.ok()) {
        return Error{entry.error().code,
                     entry.error().message +
                         "; only what was pulled or created is removed, `drover show` tells where "
                         "other models come from"};
    }
    DROVER_TRY(make_unused(client, entry->name.display(), force));
    return store.remove(*name);
}

void remove_there(Context& context, const Client& server, const std::string& name, bool force) {
    Status removed = make_unused(server, name, force);
    if (removed.ok()) {
        removed = remote_remove(server, name);
    }
    if (removed.ok()) {
        std::printf("%s is removed\n", name.c_str());
    } else {
        context.fail(removed.error());
    }
}

}  // namespace

void add_remove(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("rm", "Remove models from the store");
    const auto names = std::make_shared<std::vector<std::string>>();
    const auto force = std::make_shared<bool>(false);
    command->add_option("MODEL", *names, "Models of the store")->required();
    command->add_flag("-f,--force", *force, "Also one that is in memory: it is taken out first");
    command->callback([&context, names, force] {
        const auto config = context.config();
        const auto client = context.client();
        if (!config.has_value() || !client.has_value()) {
            return;
        }
        const bool elsewhere = context.named_server().has_value();
        for (const std::string& name : *names) {
            if (elsewhere) {
                remove_there(context, *client, name, *force);
                continue;
            }
            const auto freed = remove(*config, *client, name, *force);
            if (freed.ok()) {
                context.tell_server();
                std::printf("%s is removed, %s freed\n", name.c_str(), to_string(*freed).c_str());
            } else {
                context.fail(freed.error());
            }
        }
    });
}

void add_copy(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("cp", "Give a model of the store a second name");
    const auto names = std::make_shared<std::pair<std::string, std::string>>();
    command->add_option("MODEL", names->first, "A model of the store")->required();
    command->add_option("NAME", names->second, "Its other name")->required();
    command->callback([&context, names] {
        const auto server = context.named_server();
        const auto config = server ? std::nullopt : context.config();
        if (!server && !config) {
            return;
        }
        const Status copied = server ? remote_copy(*server, names->first, names->second)
                                     : copy(*config, names->first, names->second);
        if (copied.ok()) {
            if (!server) {
                context.tell_server();
            }
            std::printf("%s is %s too\n", names->first.c_str(), names->second.c_str());
        } else {
            context.fail(copied.error());
        }
    });
}

void add_prune(CLI::App& app, Context& context) {
    app.add_subcommand("prune", "Remove what no model of the store uses, and unfinished pulls")
        ->callback([&context] {
            const auto config = context.config();
            if (!config.has_value()) {
                return;
            }
            const auto freed = store::Store(config->store.dir).collect_garbage();
            if (freed.ok()) {
                std::printf("%s freed\n", to_string(*freed).c_str());
            } else {
                context.fail(freed.error());
            }
        });
}

}  // namespace drover::cli

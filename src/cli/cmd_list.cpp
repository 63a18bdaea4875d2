#include <cstdio>

#include <boost/json/serialize.hpp>

#include "base/units.hpp"
#include "cli/context.hpp"
#include "cli/json_read.hpp"
#include "cli/table.hpp"

namespace drover::cli {

namespace {

/// " (http://10.0.0.5:8000/v1 and 2 more)".
std::string remote_at(const boost::json::array& servers) {
    std::string where = " (" + std::string(servers.front().get_string());
    if (servers.size() > 1) {
        where += " and " + std::to_string(servers.size() - 1) + " more";
    }
    return where + ")";
}

void print_models(const boost::json::value& answer) {
    std::vector<std::vector<std::string>> rows;
    for (const boost::json::value& model : elements(answer, "models")) {
        const std::string broken = text(model, "broken");
        if (const auto servers = elements(model, "servers"); !servers.empty()) {
            rows.push_back({text(model, "name"),
                            text(model, "task"),
                            "-",
                            "-",
                            "-",
                            "-",
                            text(model, "state") + remote_at(servers)});
            continue;
        }
        rows.push_back({text(model, "name"),
                        broken.empty() ? text(model, "task") : "broken",
                        broken.empty() ? text(model, "quantisation") : "-",
                        broken.empty() ? to_string(Bytes(number(model, "size"))) : "-",
                        broken.empty() ? to_string(Bytes(number(model, "estimated_bytes"))) : "-",
                        broken.empty() ? std::to_string(number(model, "context")) : "-",
                        broken.empty() ? text(model, "state") : broken});
    }
    if (rows.empty()) {
        std::printf(
            "no models: put GGUF files into the models directory, or name them in the "
            "configuration\n");
        return;
    }
    std::fputs(
        format_table({"NAME", "TASK", "QUANT", "FILE", "MEMORY", "CONTEXT", "STATE"}, rows).c_str(),
        stdout);
}

}  // namespace

void add_list(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("list", "Show all models");
    command->alias("ls");
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "For programs");
    command->callback([&context, json] {
        const auto client = context.client();
        if (!client.has_value()) {
            return;
        }
        const auto answer = client->get("/admin/models");
        if (!answer.ok()) {
            context.fail(answer.error());
        } else if (*json) {
            std::printf("%s\n", boost::json::serialize(*answer).c_str());
        } else {
            print_models(*answer);
        }
    });
}

}  // namespace drover::cli

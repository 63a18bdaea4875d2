#include <algorithm>
#include <chrono>
#include <cstdio>

#include <boost/json/serialize.hpp>

#include "base/units.hpp"
#include "cli/context.hpp"
#include "cli/json_read.hpp"
#include "cli/table.hpp"
#include "platform/clock.hpp"

namespace drover::cli {

namespace {

std::string stay(const boost::json::value& instance) {
    const boost::json::value* expires = member(instance, "expires_at_ms");
    if (expires == nullptr || expires->is_null()) {
        return number(instance, "leases") > 0 ? "in use" : "stays";
    }
    const std::int64_t left = number(instance, "expires_at_ms") - platform::wall_clock_ms();
    return "for " +
           to_string(std::chrono::milliseconds(std::max<std::int64_t>(left, 0) / 1000 * 1000));
}

/// What is kept on disk, and what it was good for.
void print_snapshots(const boost::json::value& answer) {
    const boost::json::value* snapshots = member(answer, "snapshots");
    if (snapshots == nullptr || number(*snapshots, "budget") == 0) {
        return;
    }
    std::printf(
        "snapshots: %lld conversations, %s of %s; %lld came back and saved %s of computing\n",
        static_cast<long long>(number(*snapshots, "count")),
        to_string(Bytes(number(*snapshots, "bytes"))).c_str(),
        to_string(Bytes(number(*snapshots, "budget"))).c_str(),
        static_cast<long long>(number(*snapshots, "hits")),
        to_string(std::chrono::milliseconds(number(*snapshots, "saved_ms"))).c_str());
}

/// Servers elsewhere, and whether requests are sent to them.
void print_remotes(const boost::json::value& answer) {
    std::vector<std::vector<std::string>> rows;
    for (const boost::json::value& remote : elements(answer, "remotes")) {
        const boost::json::value* retry = member(remote, "retry_ms");
        std::string circuit = text(remote, "circuit");
        if (retry != nullptr && !retry->is_null()) {
            circuit += " for " + to_string(std::chrono::milliseconds(
                                     (number(remote, "retry_ms") + 999) / 1000 * 1000));
        }
        rows.push_back({text(remote, "model"),
                        text(remote, "url"),
                        circuit,
                        std::to_string(number(remote, "leases")),
                        std::to_string(number(remote, "queued")),
                        text(remote, "problem")});
    }
    if (!rows.empty()) {
        std::fputs(
            format_table({"REMOTE", "SERVER", "CIRCUIT", "REQUESTS", "QUEUED", "PROBLEM"}, rows)
                .c_str(),
            stdout);
    }
}

/// "GPU 0 (NVIDIA L4): 12.0 GiB of 20.0 GiB in use, other programs need 2.0 GiB more".
void print_device(const boost::json::value& device) {
    const std::string name = text(device, "name");
    const auto taken = Bytes(number(device, "taken_by_others"));
    const std::string others =
        taken > Bytes(0) ? ", other programs need " + to_string(taken) + " more" : "";
    std::printf("%s%s: %s of %s in use%s\n",
                text(device, "device").c_str(),
                (name.empty() ? "" : " (" + name + ")").c_str(),
                to_string(Bytes(number(device, "held"))).c_str(),
                to_string(Bytes(number(device, "bytes"))).c_str(),
                others.c_str());
}

void print_fleet(const boost::json::value& answer) {
    for (const boost::json::value& device : elements(answer, "budget")) {
        print_device(device);
    }
    std::printf("%lld requests waiting\n", static_cast<long long>(number(answer, "queued")));
    print_snapshots(answer);
    std::vector<std::vector<std::string>> rows;
    for (const boost::json::value& instance : elements(answer, "instances")) {
        rows.push_back({text(instance, "model"),
                        text(instance, "state"),
                        to_string(Bytes(number(instance, "bytes"))),
                        text(instance, "where"),
                        std::to_string(number(instance, "leases")),
                        std::to_string(number(instance, "queued")),
                        stay(instance),
                        std::to_string(number(instance, "pid"))});
    }
    if (rows.empty()) {
        std::printf("no model is in memory\n");
    } else {
        std::fputs(
            format_table(
                {"MODEL", "STATE", "MEMORY", "WHERE", "REQUESTS", "QUEUED", "STAYS", "PID"}, rows)
                .c_str(),
            stdout);
    }
    print_remotes(answer);
}

}  // namespace

void add_ps(CLI::App& app, Context& context) {
    CLI::App* command = app.add_subcommand("ps", "Show which models are in memory");
    const auto json = std::make_shared<bool>(false);
    command->add_flag("--json", *json, "For programs");
    command->callback([&context, json] {
        const auto client = context.client();
        if (!client.has_value()) {
            return;
        }
        const auto answer = client->get("/admin/ps");
        if (!answer.ok()) {
            context.fail(answer.error());
        } else if (*json) {
            std::printf("%s\n", boost::json::serialize(*answer).c_str());
        } else {
            print_fleet(*answer);
        }
    });
}

}  // namespace drover::cli

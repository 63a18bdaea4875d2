#include "engines/command_launch.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "engines/child_environment.hpp"

namespace drover::engines {

namespace {

/// A server in a container has to be asked, or its container stays: the one that is killed is only
/// the container's client.
constexpr std::chrono::milliseconds kStopDefault(5'000);

std::string in_braces(std::string_view word) {
    return "{" + std::string(word) + "}";
}

using Values = std::vector<std::pair<std::string, std::string>>;

Values values_of(const CommandLaunch& launch, std::uint16_t port) {
    return {{"{socket}", launch.socket.string()},
            {"{port}", std::to_string(port)},
            {"{file}", launch.file.string()},
            {"{model}", launch.model},
            {"{context}", std::to_string(launch.context)},
            {"{parallel}", std::to_string(launch.parallel)},
            {"{threads}", std::to_string(launch.threads)},
            {"{key}", launch.key.reveal()}};
}

/// `text` with the words in braces replaced, from the left: what a value brings in stays as it is,
/// and so do other braces.
std::string filled(std::string_view text, const Values& values) {
    std::string result;
    while (!text.empty()) {
        const auto value = std::find_if(values.begin(), values.end(), [text](const auto& one) {
            return text.starts_with(one.first);
        });
        if (value == values.end()) {
            result += text.front();
            text.remove_prefix(1);
        } else {
            result += value->second;
            text.remove_prefix(value->first.size());
        }
    }
    return result;
}

/// Where it listens. Unset: at its socket.
Result<std::optional<Endpoint>> endpoint_of(const CommandLaunch& launch,
                                            const config::ChildSettings& child) {
    const bool socket = mentions(child, "socket");
    const bool port = mentions(child, "port") || child.port != 0;
    if (socket == port) {
        return invalid(socket ? "command: says {socket} and a port; choose one"
                              : "command: must say {socket} or {port}, so that Drover finds the "
                                "engine; or give its port");
    }
    const bool keyed = mentions(child, "key");
    if (keyed || port) {
        Endpoint endpoint = Endpoint::at_socket(launch.socket);
        if (port) {
            endpoint.transport = Transport::tcp;
            endpoint.host = "127.0.0.1";
            endpoint.port = child.port != 0 ? child.port : launch.port;
            endpoint.authority = "127.0.0.1:" + std::to_string(endpoint.port);
        }
        if (keyed) {
            endpoint.authorization = Secret("Bearer " + launch.key.reveal());
        }
        return std::optional(std::move(endpoint));
    }
    return std::optional<Endpoint>();
}

}  // namespace

bool mentions(const config::ChildSettings& child, std::string_view word) {
    const auto has = [braced = in_braces(word)](const std::string& text) {
        return text.find(braced) != std::string::npos;
    };
    return std::any_of(child.command.begin(), child.command.end(), has) ||
           std::any_of(child.environment.begin(), child.environment.end(), has);
}

Result<LaunchPlan> plan_command(const CommandLaunch& launch,
                                const config::ChildSettings& child,
                                const config::EngineConfig& config) {
    if (launch.file.empty() && mentions(child, "file")) {
        return invalid("file: is missing, but the command says {file}");
    }
    auto endpoint = endpoint_of(launch, child);
    if (!endpoint.ok()) {
        return endpoint.error();
    }
    const Values values =
        values_of(launch, endpoint->has_value() ? (*endpoint)->port : std::uint16_t{0});
    LaunchPlan plan;
    for (const std::string& word : child.command) {
        plan.argv.push_back(filled(word, values));
    }
    for (const std::string& word : child.stop_command) {
        plan.stop_command.push_back(filled(word, values));
    }
    plan.argv.insert(plan.argv.end(), launch.extra_args.begin(), launch.extra_args.end());
    plan.environment = child_environment(launch.parent_environment, launch.fetches);
    for (const std::string& variable : child.environment) {
        set_variable(plan.environment, filled(variable, values));
    }
    plan.socket = launch.socket;
    plan.endpoint = std::move(*endpoint);
    plan.guarded = true;
    plan.health_path = child.health;
    plan.load_timeout = config.load_timeout;
    plan.health_timeout = config.health_timeout;
    plan.stop_timeout = child.stop_timeout.value_or(kStopDefault);
    return plan;
}

}  // namespace drover::engines

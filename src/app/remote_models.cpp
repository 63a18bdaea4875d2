#include "app/remote_models.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "base/host.hpp"
#include "control/model_list.hpp"
#include "engines/http_call.hpp"
#include "engines/tls_trust.hpp"
#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "platform/paths.hpp"
#include "platform/task_scope.hpp"

namespace drover::app {

namespace log = platform::log;
using cli::Finding;
using Grade = cli::Finding::Grade;

namespace {

constexpr std::uint32_t kConcurrencyDefault = 64;
constexpr std::uint32_t kQueueDefault = 64;
constexpr Bytes kKeyMax = 64_KiB;

/// TLS takes several round trips to set up, and servers elsewhere keep connections for long. One
/// that was closed meanwhile costs nothing but another connection.
constexpr std::chrono::seconds kIdleAgeMax{30};

/// A server that is up lists its models at once.
constexpr std::chrono::seconds kListTime{5};

/// The longest pause of a circuit, in first ones.
constexpr int kOpenTimes = 12;

constexpr unsigned kOk = 200;

/// Nothing that would end a header line.
bool is_header_safe(const std::string& key) {
    return std::all_of(key.begin(), key.end(), [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

Result<Secret> read_key(const config::RemoteSettings& remote) {
    std::string key;
    std::string source;
    if (!remote.key_env.empty()) {
        source = "key_env: the variable " + remote.key_env;
        key = platform::process_environment()(remote.key_env).value_or("");
    } else if (!remote.key_file.empty()) {
        source = "key_file: " + remote.key_file.string();
        auto read = platform::read_file(remote.key_file, kKeyMax);
        if (!read.ok()) {
            return read.error().with("key_file");
        }
        key = std::move(*read);
        key.erase(key.find_last_not_of(" \t\r\n") + 1);
    } else {
        return Secret();
    }
    if (key.empty()) {
        return Error{ErrorCode::invalid_argument, source + " is empty or not set"};
    }
    if (!is_header_safe(key)) {
        return Error{ErrorCode::invalid_argument,
                     source + " has spaces or control characters in it, which no key has"};
    }
    return Secret("Bearer " + key);
}

Result<std::vector<engines::Endpoint>> replicas_of(const config::RemoteSettings& remote) {
    const auto key = read_key(remote);
    if (!key.ok()) {
        return key.error();
    }
    std::shared_ptr<engines::TlsTrust> trust;
    std::vector<engines::Endpoint> replicas;
    for (const std::string& url : remote.urls) {
        auto endpoint = engines::Endpoint::parse(url);
        if (!endpoint.ok()) {
            return endpoint.error().with("url");
        }
        if (endpoint->transport == engines::Transport::tls && trust == nullptr) {
            auto loaded = engines::TlsTrust::load(remote.ca_file);
            if (!loaded.ok()) {
                return loaded.error().with("ca_file");
            }
            trust = std::move(*loaded);
        }
        endpoint->authorization = *key;
        endpoint->trust = trust;
        replicas.push_back(std::move(*endpoint));
    }
    return replicas;
}

std::string task_of(const config::ModelEntry& entry, const std::string& served_name) {
    switch (entry.task) {
        case config::Task::automatic:
            return control::task_of_name(served_name);
        case config::Task::generate:
            return "generate";
        case config::Task::embedding:
            return "embedding";
        case config::Task::rerank:
            return "rerank";
    }
    return {};
}

control::ModelView view_of(const config::ModelEntry& entry,
                           const std::string& served_name,
                           const std::vector<engines::Endpoint>& replicas,
                           std::uint32_t concurrency) {
    control::ModelView view{.name = entry.name,
                            .aliases = entry.aliases,
                            .context = entry.settings.context.value_or(0),
                            .parallel = concurrency,
                            .task = task_of(entry, served_name),
                            .state = "remote",
                            .origin = "config"};
    if (view.task == "generate") {
        view.capabilities = {"completion", "tools"};
    } else {
        view.capabilities = {view.task};
    }
    for (const engines::Endpoint& endpoint : replicas) {
        view.servers.push_back(endpoint.text());
    }
    return view;
}

/// Empty: nobody but the server can read its key.
std::string exposed_key(const engines::Endpoint& endpoint) {
    return endpoint.authorization.empty() || endpoint.transport != engines::Transport::tcp ||
                   is_loopback(endpoint.host)
               ? ""
               : "its key goes to " + endpoint.text() +
                     " over plain HTTP: whoever is on the way can read it";
}

Finding judge(const control::RemoteGroup& group,
              const std::string& url,
              const Result<engines::HttpAnswer>& answer) {
    const std::string subject = "remote " + group.view.name;
    if (!answer.ok()) {
        return {Grade::failure, subject, answer.error().message, "check the URL and the network"};
    }
    if (answer->status != kOk) {
        return {Grade::warning,
                subject,
                url + " answers the question for its models with status " +
                    std::to_string(answer->status),
                "with 401 or 403 check key_env or key_file; other servers may not offer the list"};
    }
    const auto names = control::parse_model_list(answer->body);
    if (!names.ok()) {
        return {Grade::warning, subject, url + ": " + names.error().message, ""};
    }
    const std::string& wanted = group.terms.served_name;
    if (!group.lists && std::find(names->begin(), names->end(), wanted) == names->end()) {
        return {Grade::warning,
                subject,
                url + " does not list model '" + wanted + "'",
                "set served_name to one that it has"};
    }
    return {Grade::ok, subject, url + " answers, " + std::to_string(names->size()) + " models", ""};
}

Finding check(const control::RemoteGroup& group, const engines::Endpoint& endpoint) {
    platform::Loop loop(1);
    platform::TaskScope tasks(loop);
    std::optional<Result<engines::HttpAnswer>> answer;
    const auto ask = [&]() -> platform::Task<> {
        engines::HttpQuestion question{.path = "/v1/models"};
        const TimePoint deadline = platform::now() + group.probe_timeout;
        answer.emplace(co_await engines::http_call(loop, endpoint, std::move(question), deadline));
    };
    tasks.spawn("doctor.remote", ask);
    loop.run();
    return judge(group, endpoint.text(), *answer);
}

}  // namespace

Result<control::RemoteGroup> remote_group(const config::Config& config,
                                          const config::ModelEntry& entry) {
    const config::RemoteSettings& remote = entry.remote;
    auto replicas = replicas_of(remote);
    if (!replicas.ok()) {
        return replicas.error().with("models." + entry.name);
    }
    const std::uint32_t concurrency = entry.settings.parallel.value_or(kConcurrencyDefault);
    const std::string served_name = entry.served_name.empty() ? entry.name : entry.served_name;
    control::RemoteGroup group{.view = view_of(entry, served_name, *replicas, concurrency),
                               .terms = {.served_name = served_name,
                                         .connect_timeout = remote.connect_timeout,
                                         .first_byte_timeout = remote.first_byte_timeout,
                                         .idle_timeout = remote.idle_timeout},
                               .lists = served_name == "*",
                               .replicas = std::move(*replicas),
                               .connections = {.idle_age_max = kIdleAgeMax},
                               .balancer = {.circuit = {.failures = remote.failures,
                                                        .open_first = remote.open_time,
                                                        .open_max = remote.open_time * kOpenTimes},
                                            .concurrency = concurrency,
                                            .queue = entry.settings.queue.value_or(
                                                config.defaults.queue.value_or(kQueueDefault)),
                                            .probe_every = remote.health_interval},
                               .probe_timeout = remote.connect_timeout + kListTime};
    return group;
}

std::vector<control::RemoteGroup> remote_groups(const config::Config& config) {
    std::vector<control::RemoteGroup> groups;
    for (const config::ModelEntry& entry : config.models) {
        if (entry.engine != config::EngineKind::remote) {
            continue;
        }
        auto group = remote_group(config, entry);
        if (!group.ok()) {
            log::warn("model.broken", {{"model", entry.name}, {"reason", group.error().message}});
            continue;
        }
        for (const engines::Endpoint& endpoint : group->replicas) {
            if (const std::string problem = exposed_key(endpoint); !problem.empty()) {
                log::warn("remote.exposed_key", {{"model", entry.name}, {"problem", problem}});
            }
        }
        groups.push_back(std::move(*group));
    }
    return groups;
}

std::vector<Finding> check_remotes(const config::Config& config) {
    std::vector<Finding> findings;
    for (const config::ModelEntry& entry : config.models) {
        if (entry.engine != config::EngineKind::remote) {
            continue;
        }
        const auto group = remote_group(config, entry);
        if (!group.ok()) {
            findings.push_back(
                {Grade::failure, "remote " + entry.name, group.error().message, "correct it"});
            continue;
        }
        for (const engines::Endpoint& endpoint : group->replicas) {
            findings.push_back(check(*group, endpoint));
            if (std::string problem = exposed_key(endpoint); !problem.empty()) {
                findings.push_back({Grade::warning,
                                    "remote " + entry.name,
                                    std::move(problem),
                                    "use https://, or a tunnel that ends on this machine"});
            }
        }
    }
    return findings;
}

}  // namespace drover::app

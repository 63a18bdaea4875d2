#include "config/fields.hpp"

#include <array>
#include <cstdlib>
#include <utility>

#include "base/text.hpp"
#include "config/parsers.hpp"
#include "config/setters.hpp"

namespace drover::config {

namespace {

using std::chrono::milliseconds;

Result<milliseconds> parse_grace(std::string_view text) {
    auto duration = parse_duration(text);
    if (duration.ok() && duration->count() < 0) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is negative; write for instance 5s, or 0"};
    }
    return duration;
}

template <typename Place>
Field duration_field(std::string path, std::string example, std::string help, Place place) {
    return {std::move(path),
            "",
            std::move(example),
            std::move(help),
            setter<Config>(place, parse_positive_duration)};
}

template <typename Place>
Field bytes_field(
    std::string path, std::string environment, std::string example, std::string help, Place place) {
    return {std::move(path),
            std::move(environment),
            std::move(example),
            std::move(help),
            setter<Config>(place, parse_bytes)};
}

Status set_listen(Config& config, std::string_view text) {
    const auto bad = [&] {
        return Error{
            ErrorCode::invalid_argument,
            "'" + std::string(text) +
                "' is not an address; write for instance 127.0.0.1:11435, [::1]:11435 or 11435"};
    };
    std::string_view host = config.listen_host;
    std::string_view port = text;
    if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
            host = host.substr(1, host.size() - 2);
        } else if (host.find(':') != std::string_view::npos || host.empty()) {
            return bad();
        }
    }
    const auto number = parse_number<std::uint16_t>(port, 0, 65535, "a port");
    if (!number.ok()) {
        return bad();
    }
    config.listen_host = std::string(host);
    config.listen_port = *number;
    return {};
}

Status set_origins(Config& config, std::string_view text) {
    config.origins.clear();
    while (!text.empty()) {
        const std::string_view origin = text.substr(0, text.find_first_of(", "));
        text.remove_prefix(std::min(origin.size() + 1, text.size()));
        if (!origin.empty()) {
            config.origins.emplace_back(origin);
        }
    }
    return {};
}

Status set_budget(Config& config, std::string_view text) {
    if (text == "auto") {
        config.memory.budget.reset();
        return {};
    }
    const auto bytes = parse_bytes(text);
    if (!bytes.ok()) {
        return Error{ErrorCode::invalid_argument, bytes.error().message + ", or auto"};
    }
    config.memory.budget = *bytes;
    return {};
}

/// Each GPU that is named replaces what was said of it before.
Status set_gpus(Config& config, std::string_view text) {
    config.memory.use_gpus = text != "none";
    if (text == "none" || text == "auto") {
        config.memory.gpus.clear();
        return {};
    }
    auto budgets = parse_gpu_budgets(text);
    if (!budgets.ok()) {
        return budgets.error();
    }
    for (GpuBudget& budget : *budgets) {
        std::erase_if(config.memory.gpus,
                      [&budget](const GpuBudget& one) { return one.gpu == budget.gpu; });
        config.memory.gpus.push_back(std::move(budget));
    }
    return {};
}

Status set_log_level(Config& config, std::string_view text) {
    for (const std::string_view level : {"debug", "info", "warn", "error"}) {
        if (level == text) {
            config.log.level = std::string(text);
            return {};
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) + "' is not a log level; write debug, info, warn or error"};
}

Status set_discover(Config& config, std::string_view text) {
    DiscoverConfig chosen{.ollama = false, .huggingface = false, .lm_studio = false};
    if (text == "all") {
        chosen = {};
    } else if (text != "none") {
        std::string_view rest = text;
        while (!rest.empty()) {
            const std::string_view name = rest.substr(0, rest.find_first_of(", "));
            rest.remove_prefix(std::min(name.size() + 1, rest.size()));
            if (name == "ollama") {
                chosen.ollama = true;
            } else if (name == "huggingface") {
                chosen.huggingface = true;
            } else if (name == "lm-studio") {
                chosen.lm_studio = true;
            } else if (!name.empty()) {
                return Error{ErrorCode::invalid_argument,
                             "'" + std::string(name) +
                                 "' is not known; write all, none, or some of ollama, huggingface, "
                                 "lm-studio"};
            }
        }
    }
    config.discover = chosen;
    return {};
}

Result<Strategy> parse_strategy(std::string_view text) {
    if (text == "dynamic" || text == "concurrent") {
        return text == "dynamic" ? Strategy::dynamic : Strategy::concurrent;
    }
    return Error{ErrorCode::invalid_argument,
                 "'" + std::string(text) + "' is no strategy; write dynamic or concurrent"};
}

std::vector<Field> make_fields() {
    const auto engine = [](auto member) {
        return [member](Config & c) -> auto& {
            return c.engine.*member;
        };
    };
    const auto memory = [](auto member) {
        return [member](Config & c) -> auto& {
            return c.memory.*member;
        };
    };
    const auto snapshots = [](auto member) {
        return [member](Config & c) -> auto& {
            return c.snapshots.*member;
        };
    };
    const auto limits = [](auto member) {
        return [member](Config & c) -> auto& {
            return c.limits.*member;
        };
    };
    const auto store = [](auto member) {
        return [member](Config & c) -> auto& {
            return c.store.*member;
        };
    };
    const auto any_path = [](std::string_view text) {
        return Result<std::filesystem::path>(std::filesystem::path(text));
    };
    return {
        {"listen",
         "DROVER_LISTEN",
         "127.0.0.1:11435",
         "Address and port of the server. There is no authentication yet, so keep it on loopback.",
         set_listen},
        {"origins",
         "DROVER_ORIGINS",
         "https://chat.example.org",
         "Web pages that may use the server, separated by commas, besides those of this machine; "
         "`*` stands for anything.",
         set_origins},
        {"local_only",
         "DROVER_LOCAL_ONLY",
         "false",
         "No request goes to a remote model, whatever it asks for (docs/remotes.md).",
         setter<Config>([](Config& config) -> bool& { return config.local_only; }, parse_flag)},
        {"engine.llama_server",
         "DROVER_LLAMA_SERVER",
         "/opt/llama.cpp/llama-server",
         "The engine's program. Without it: the engine cache, then PATH.",
         setter<Config>(engine(&EngineConfig::llama_server), any_path)},
        duration_field("engine.load_timeout",
                       "10m",
                       "Longest time from an engine's start until it can serve.",
                       engine(&EngineConfig::load_timeout)),
        duration_field("engine.stall_timeout",
                       "10m",
                       "Longest silence of an engine that owes an answer; then it is killed.",
                       engine(&EngineConfig::stall_timeout)),
        duration_field(
            "engine.health_timeout",
            "30s",
            "A running engine that does not answer its health check for this long is killed.",
            engine(&EngineConfig::health_timeout)),
        {"engine.stop_timeout",
         "",
         "0",
         "Time that an engine has to end after SIGTERM, before it is killed; 0: killed at once, "
         "which frees its memory soonest.",
         setter<Config>(engine(&EngineConfig::stop_timeout), parse_grace)},
        {"memory.budget",
         "DROVER_BUDGET",
         "auto",
         "Bytes that all engines together may use: a size such as 12GiB, or auto, which is what is "
         "available at the start minus the reserve.",
         set_budget},
        {"memory.strategy",
         "DROVER_STRATEGY",
         "dynamic",
         "dynamic: models are loaded on demand, and the least valuable leave. concurrent: all "
         "models "
         "of the configuration are loaded at the start and stay; the server does not start when "
         "they "
         "do not fit.",
         setter<Config>(memory(&MemoryConfig::strategy), parse_strategy)},
        {"memory.measured",
         "DROVER_MEASURED",
         "~/.cache/drover/measured.sqlite",
         "Where it is remembered what models turned out to take.",
         setter<Config>(memory(&MemoryConfig::measured), any_path)},
        bytes_field("memory.reserve",
                    "",
                    "1GiB",
                    "What `budget: auto` leaves to the rest of the machine.",
                    memory(&MemoryConfig::reserve)),
        {"memory.gpus",
         "DROVER_GPUS",
         "{0: 20GiB, 1: auto}",
         "What models may use of each GPU: a size, 0, or auto, which is what is free at the start "
         "minus memory.gpu_reserve. Those that are not named are auto; `none` uses no GPU.",
         set_gpus},
        bytes_field("memory.gpu_reserve",
                    "",
                    "512MiB",
                    "What `auto` leaves free on each GPU.",
                    memory(&MemoryConfig::gpu_reserve)),
        {"memory.nvml",
         "DROVER_NVML",
         "libnvidia-ml.so.1",
         "NVIDIA's management library, by which GPUs are found.",
         setter<Config>(memory(&MemoryConfig::nvml), any_path)},
        {"memory.max_models",
         "",
         "0",
         "Most models in memory at once, beside those that sleep, however small they are; 0: as "
         "many as the budget holds.",
         setter<Config>(memory(&MemoryConfig::max_models),
                        [](std::string_view text) {
                            return parse_number<std::uint32_t>(
                                text, 0, 100'000, "a number of models");
                        })},
        {"memory.give_back",
         "",
         "true",
         "Whether the budget shrinks while other programs need the memory: idle models leave then, "
         "until half of the reserve is free again.",
         setter<Config>(memory(&MemoryConfig::give_back), parse_flag)},
        duration_field(
            "memory.min_residency",
            "2s",
            "A loaded model stays at least this long, unless somebody has waited for max_wait.",
            memory(&MemoryConfig::min_residency)),
        duration_field("memory.max_wait",
                       "10s",
                       "After waiting this long for memory a request is owed it: busy models take "
                       "no new requests and leave for it.",
                       memory(&MemoryConfig::max_wait)),
        bytes_field("snapshots.budget",
                    "DROVER_SNAPSHOT_BUDGET",
                    "4GiB",
                    "Disk space for conversations of models that are not in memory; 0 keeps none.",
                    snapshots(&SnapshotConfig::budget)),
        {"snapshots.directory",
         "",
         "/var/lib/drover/snapshots",
         "Where they are kept; without it: a folder of this server in the cache.",
         setter<Config>(snapshots(&SnapshotConfig::directory), any_path)},
        duration_field(
            "snapshots.time_limit",
            "2s",
            "Longest that saving conversations delays the end of an engine, and bringing "
            "them back delays its readiness.",
            snapshots(&SnapshotConfig::time_limit)),
        {"routing.log",
         "",
         "off",
         "What is kept of routed requests: `off`, `outcomes`, or `prompts` (with the text).",
         setter<Config>(
             [](Config & c) -> auto& { return c.routing.log; }, parse_routing_log)},
        {"routing.file",
         "",
         "~/.cache/drover/routing.jsonl",
         "Where; readable by the user alone.",
         setter<Config>(
             [](Config & c) -> auto& { return c.routing.file; }, any_path)},
        {"limits.connections",
         "",
         "1024",
         "Open client connections.",
         setter<Config>(limits(&LimitsConfig::connections),
                        [](std::string_view text) {
                            return parse_number<std::uint32_t>(
                                text, 1, 100'000, "a number of connections");
                        })},
        bytes_field(
            "limits.header", "", "64KiB", "Largest request head.", limits(&LimitsConfig::header)),
        bytes_field("limits.body",
                    "DROVER_BODY_LIMIT",
                    "64MiB",
                    "Largest request body.",
                    limits(&LimitsConfig::body)),
        bytes_field("limits.bodies",
                    "",
                    "256MiB",
                    "Most memory for the bodies of all requests together.",
                    limits(&LimitsConfig::bodies)),
        duration_field("limits.header_timeout",
                       "30s",
                       "Longest time to send a request's head.",
                       limits(&LimitsConfig::header_timeout)),
        duration_field("limits.body_timeout",
                       "5m",
                       "Longest time to send a request's body.",
                       limits(&LimitsConfig::body_timeout)),
        duration_field("limits.write_timeout",
                       "1m",
                       "Longest time that a client may not read its answer.",
                       limits(&LimitsConfig::write_timeout)),
        duration_field("limits.idle_timeout",
                       "2m",
                       "A kept connection without a request is closed after this.",
                       limits(&LimitsConfig::idle_timeout)),
        duration_field("limits.queue_timeout",
                       "10m",
                       "Longest time that a request waits for its model.",
                       limits(&LimitsConfig::queue_timeout)),
        duration_field("limits.drain_timeout",
                       "30s",
                       "Running requests may finish for this long when the server stops.",
                       limits(&LimitsConfig::drain_timeout)),
        {"store.dir",
         "DROVER_STORE",
         "~/.cache/drover/store",
         "Where pulled models are kept, in Ollama's layout.",
         setter<Config>(store(&StoreConfig::dir), any_path)},
        {"store.registry",
         "DROVER_REGISTRY",
         "https://registry.ollama.ai",
         "Where names without a host, such as qwen3:8b, are pulled from.",
         setter<Config>(store(&StoreConfig::registry), parse_web_address)},
        {"store.hub",
         "HF_ENDPOINT",
         "https://huggingface.co",
         "Where hf.co/ORG/REPO is pulled from.",
         setter<Config>(store(&StoreConfig::hub), parse_web_address)},
        {"store.connections",
         "",
         "8",
         "Connections that one file is pulled over.",
         setter<Config>(store(&StoreConfig::connections),
                        [](std::string_view text) {
                            return parse_number<std::uint32_t>(
                                text, 1, 64, "a number of connections");
                        })},
        duration_field("store.stall_timeout",
                       "30s",
                       "A pull's connection that brings nothing for this long is made anew.",
                       store(&StoreConfig::stall_timeout)),
        {"discover",
         "DROVER_DISCOVER",
         "all",
         "Whose models are found on the disk: all, none, or some of ollama, huggingface, "
         "lm-studio.",
         set_discover},
        {"log.level", "DROVER_LOG_LEVEL", "info", "debug, info, warn or error.", set_log_level},
        {"log.file",
         "DROVER_LOG_FILE",
         "/var/log/drover.log",
         "Where the log goes; without it: standard error.",
         setter<Config>(
             [](Config & c) -> auto& { return c.log.file; }, any_path)},
    };
}

}  // namespace

const std::vector<Field>& fields() {
    static const std::vector<Field> table = make_fields();
    return table;
}

Result<Task> parse_task(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, Task>, 4> kTasks{
        {{"auto", Task::automatic},
         {"generate", Task::generate},
         {"embedding", Task::embedding},
         {"rerank", Task::rerank}}};
    for (const auto& [name, task] : kTasks) {
        if (name == text) {
            return task;
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) + "' is not a task; write auto, generate, embedding or rerank"};
}

Result<bool> parse_flag(std::string_view text) {
    const std::string lower = to_lower(text);
    for (const std::string_view yes : {"true", "yes", "on", "1"}) {
        if (lower == yes) {
            return true;
        }
    }
    for (const std::string_view no : {"false", "no", "off", "0"}) {
        if (lower == no) {
            return false;
        }
    }
    return Error{ErrorCode::invalid_argument,
                 "'" + std::string(text) + "' is neither true nor false"};
}

std::filesystem::path resolve_path(std::string_view text, const std::filesystem::path& base) {
    if (text.substr(0, 2) == "~/") {
        const char* home =
            std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): nobody calls setenv
        return std::filesystem::path(home == nullptr ? "/" : home) / text.substr(2);
    }
    return (base / text).lexically_normal();
}

}  // namespace drover::config

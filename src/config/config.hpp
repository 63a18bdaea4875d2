// Everything a user can set, as plain structs with defaults. No logic. docs/config.md explains
// each.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "config/routes.hpp"

namespace drover::config {

using std::chrono::milliseconds;

/// What a model is for; decides the engine's mode.
enum class Task {
    automatic,  ///< from the GGUF header: pooling or an encoder architecture means embedding
    generate,   ///< chat, completion, infill
    embedding,
    rerank,
};

/// Where a model may lie. Neither: wherever it fits best.
struct DeviceChoice {
    bool host = false;              ///< in host memory, computed by the processor
    std::vector<std::string> gpus;  ///< on these together; see GpuBudget::gpu

    bool operator==(const DeviceChoice&) const = default;
};

/// How deep an engine sleeps when its memory is needed, if it can.
enum class SleepLevel : std::uint8_t {
    never,  ///< it ends instead
    light,  ///< it keeps what is slow to make again; of vLLM the weights, in host memory
    deep    ///< it keeps as little as it can; vLLM reads its weights again
};

/// Layers that lie on GPUs, the output being one. Neither: as many as fit.
struct GpuLayers {
    bool all = false;
    std::optional<std::uint32_t> number{};

    bool operator==(const GpuLayers&) const = default;
};

/// Settings of a model that `defaults:` can give for all and `models: NAME:` for one. Unset fields
/// fall back: model, then defaults, then what is built in (see resolve_settings).
struct ModelSettings {
    std::optional<std::uint32_t> context;    ///< tokens one request may use (prompt and answer)
    std::optional<std::uint32_t> parallel;   ///< requests one instance serves at once
    std::optional<std::uint32_t> queue;      ///< requests that may wait for the model
    std::optional<milliseconds> keep_alive;  ///< idle time before it leaves; negative: stays
    std::optional<std::int32_t> priority;
    std::optional<milliseconds> min_residency;  ///< unset: memory.min_residency
    std::optional<std::uint32_t> batch;         ///< logical and physical batch, tokens
    std::optional<std::uint32_t> threads;       ///< 0: let the engine choose
    std::optional<std::string> cache_type_k;    ///< as the engine spells it: f16, q8_0, ...
    std::optional<std::string> cache_type_v;
    std::optional<bool> flash_attention;  ///< unset: the engine decides
    std::optional<bool> repack;           ///< faster prompts for more memory (CPU weights)
    std::optional<Bytes> prompt_cache;    ///< host memory for prompts that lost their slot
    std::optional<bool> snapshots;        ///< conversations outlive the engine's process
    std::optional<SleepLevel> sleep;      ///< instead of leaving
    std::optional<DeviceChoice> device;
    std::optional<GpuLayers> gpu_layers;
    std::vector<std::string> extra_args;  ///< passed to the engine as they are, last
};

/// The kind of program that serves a model.
enum class EngineKind {
    llama_cpp,  ///< llama-server, started with a GGUF file
    vllm,       ///< `vllm serve`, started with a folder of safetensors or a reference
    command,    ///< any other server, started by a command
    remote,     ///< a server that somebody else runs
};

/// What a model needs whose engine is started by a command of its own. Empty where its engine has
/// no use for it.
struct ChildSettings {
    std::vector<std::string> command;      ///< with {socket} or {port}, {file}, ... in its words
    std::string health = "/health";        ///< answers 200 when the engine can serve
    std::optional<Bytes> memory;           ///< what one instance takes, until it is measured
    std::vector<std::string> environment;  ///< "NAME=value", on top of what engines are given
    std::string reference;                 ///< of vLLM: "org/model", instead of a folder
    std::filesystem::path venv;  ///< of vLLM: a Python environment; absolute after loading
    std::uint16_t port = 0;      ///< that it listens on whatever it is told; 0: none
    std::optional<milliseconds> stop_timeout;  ///< between SIGTERM and SIGKILL; unset: the engine's
    std::vector<std::string> stop_command;     ///< run when it has ended, for what that left
};

/// How a server is reached that somebody else runs. Of `engine: remote`.
struct RemoteSettings {
    std::vector<std::string> urls;        ///< one for each replica, as OpenAI's clients take them
    std::string key_env;                  ///< name of the variable that has the key; empty: none
    std::filesystem::path key_file;       ///< has the key; empty: none
    std::filesystem::path ca_file;        ///< PEM; empty: the system's authorities
    milliseconds connect_timeout{5'000};  ///< in all, however many replicas are tried
    milliseconds first_byte_timeout{120'000};
    milliseconds idle_timeout{60'000};     ///< longest silence within an answer
    milliseconds health_interval{30'000};  ///< between two health checks
    milliseconds open_time{5'000};         ///< first pause of a server that fails; then it doubles
    std::uint32_t failures = 5;            ///< in a row, and a server is left alone
};

/// One entry of `models:`.
struct ModelEntry {
    std::string name;
    EngineKind engine = EngineKind::llama_cpp;
    std::filesystem::path file;  ///< absolute after loading; empty: its engine needs none
    std::string served_name{};   ///< what its engine calls it; empty: as clients do
    ChildSettings child{};
    RemoteSettings remote{};
    std::vector<std::string> aliases;
    Task task = Task::automatic;
    bool pin = false;
    bool preload = false;
    ModelSettings settings;
};

struct EngineConfig {
    std::filesystem::path llama_server;   ///< empty: look for it
    milliseconds load_timeout{600'000};   ///< from spawn to ready
    milliseconds stall_timeout{600'000};  ///< longest silence of an engine that owes an answer
    milliseconds health_timeout{30'000};  ///< a busy engine must answer its health check in this
    /// Between SIGTERM and SIGKILL; 0: SIGKILL at once. llama-server has nothing to save, and
    /// tidying up takes it three times as long as the kernel needs to take its memory back.
    milliseconds stop_timeout{0};
};

/// What is in memory.
enum class Strategy {
    dynamic,     ///< the most valuable models; others are loaded on demand
    concurrent,  ///< all declared models, from the start and always
};

/// How much of a GPU models may use.
struct GpuBudget {
    std::string gpu;               ///< its number, or its UUID or the beginning of that
    std::optional<Bytes> bytes{};  ///< unset: `auto`, what is free at the start minus the reserve
};

struct MemoryConfig {
    Strategy strategy = Strategy::dynamic;
    std::optional<Bytes> budget;     ///< unset: `auto`, what is available minus the reserve
    std::filesystem::path measured;  ///< set after loading: what models turned out to take
    Bytes reserve{1_GiB};            ///< left to the rest of the machine when the budget is `auto`
    std::uint32_t max_models = 0;    ///< in memory at once, beside those asleep; 0: any number
    bool give_back = true;           ///< the budget shrinks while other programs need the memory
    bool use_gpus = true;
    std::vector<GpuBudget> gpus;  ///< of others: `auto`
    Bytes gpu_reserve{512_MiB};   ///< left free on each GPU whose budget is `auto`
    std::filesystem::path nvml = "libnvidia-ml.so.1";  ///< by which GPUs are found
    milliseconds min_residency{2'000};
    milliseconds max_wait{10'000};
};

/// Conversations on disk while their model is not in memory.
struct SnapshotConfig {
    Bytes budget{4_GiB};              ///< 0: none are kept
    std::filesystem::path directory;  ///< empty: a folder of this server in the cache
    milliseconds time_limit{2'000};   ///< longest that saving delays the end of an engine
};

/// Bounds on what clients may do.
struct LimitsConfig {
    std::uint32_t connections = 1024;
    Bytes header{64_KiB};
    Bytes body{64_MiB};
    Bytes bodies{256_MiB};                ///< of all requests at once
    milliseconds header_timeout{30'000};  ///< to send a request's head
    milliseconds body_timeout{300'000};   ///< to send a request's body
    milliseconds write_timeout{60'000};   ///< longest a client may not read
    milliseconds idle_timeout{120'000};   ///< a kept-alive connection without a request
    milliseconds queue_timeout{600'000};  ///< longest a request waits for its model
    milliseconds drain_timeout{30'000};   ///< running requests may finish when the server stops
};

/// Models that others have put on the disk.
struct DiscoverConfig {
    bool ollama = true;
    bool huggingface = true;
    bool lm_studio = true;
};

/// Where pulled models go and where they come from.
struct StoreConfig {
    std::filesystem::path dir;  ///< set after loading
    std::string registry = "https://registry.ollama.ai";
    std::string hub = "https://huggingface.co";
    std::uint32_t connections = 8;       ///< of one download
    milliseconds stall_timeout{30'000};  ///< a download's silent connection is dropped
};

struct LogConfig {
    std::string level = "info";  ///< debug, info, warn, error
    std::filesystem::path file;  ///< empty: standard error
};

struct Config {
    std::string listen_host = "127.0.0.1";
    std::uint16_t listen_port = 11435;
    std::vector<std::string> origins;  ///< of web pages that may use the server; "*" in them: any
    bool local_only = false;           ///< no request goes to a remote model
    EngineConfig engine;
    MemoryConfig memory;
    SnapshotConfig snapshots;
    LimitsConfig limits;
    StoreConfig store;
    DiscoverConfig discover;
    LogConfig log;
    std::vector<std::filesystem::path> model_dirs;  ///< searched for *.gguf; unset: the cache's
    ModelSettings defaults;
    std::vector<ModelEntry> models;
    std::vector<RouteEntry> routes;
    std::filesystem::path cache_dir;    ///< engines, models
    std::filesystem::path runtime_dir;  ///< 0700; engine sockets
    std::filesystem::path source;       ///< the file it came from; empty: none
    RoutingConfig routing;              ///< what is kept of routed requests
};

}  // namespace drover::config

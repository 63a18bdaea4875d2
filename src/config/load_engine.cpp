#include "config/load_engine.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>
#include <utility>

#include "base/units.hpp"
#include "config/command_line.hpp"
#include "config/load_remote.hpp"

namespace drover::config {

namespace {

constexpr auto kCommand = EngineKind::command;
constexpr auto kLlamaCpp = EngineKind::llama_cpp;
constexpr auto kRemote = EngineKind::remote;
constexpr auto kVllm = EngineKind::vllm;

std::string_view to_string(EngineKind engine) {
    switch (engine) {
        case EngineKind::llama_cpp:
            return "llama_cpp";
        case EngineKind::vllm:
            return "vllm";
        case EngineKind::command:
            return "command";
        case EngineKind::remote:
            return "remote";
    }
    return "";
}

/// A name that an environment can have.
bool is_variable(std::string_view name) {
    return !name.empty() && name.find_first_of("= \t\n") == std::string_view::npos;
}

Result<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port == 0) {
        return Error{ErrorCode::invalid_argument,
                     "'" + std::string(text) + "' is not a port; write a number from 1 to 65535"};
    }
    return port;
}

/// Reads the keys of one entry.
class EngineReader {
  public:
    EngineReader(const YAML::Node& node, std::string path, const EngineProblem& problem)
        : node_(node), path_(std::move(path)), problem_(problem) {}

    void read(ModelEntry& entry) const {
        refuse_keys_of_others(entry.engine);
        read_text("served_name", entry.served_name);
        read_command("command", entry.child.command);
        read_command("stop_command", entry.child.stop_command);
        read_text("health", entry.child.health);
        if (entry.child.health.empty() || entry.child.health.front() != '/') {
            problem_(node_["health"], path_ + ".health", "must begin with /");
        }
        read_value("memory", entry.child.memory, parse_bytes);
        read_value("stop_timeout", entry.child.stop_timeout, parse_duration);
        std::optional<std::uint16_t> port;
        read_value("port", port, parse_port);
        entry.child.port = port.value_or(0);
        read_text("reference", entry.child.reference);
        std::string venv;
        read_text("venv", venv);
        entry.child.venv = venv;
        read_environment(entry.child.environment);
        if (entry.engine == kRemote) {
            read_remote(node_, path_, problem_, entry);
        }
        if (entry.engine == kCommand && entry.child.command.empty()) {
            problem_(node_,
                     path_ + ".command",
                     "is missing; write how the engine is started, with {socket} or {port} in it");
        }
        if (entry.engine == kVllm) {
            check_vllm(entry);
        }
    }

  private:
    void refuse_keys_of_others(EngineKind engine) const {
        for (const EngineKey& key : engine_key_table()) {
            const bool ours =
                std::find(key.engines.begin(), key.engines.end(), engine) != key.engines.end();
            if (const YAML::Node node = node_[key.name]; node && !ours) {
                problem_(node,
                         path_ + "." + key.name,
                         "belongs to engine: " + key.engines_text() + ", and this model's is " +
                             std::string(to_string(engine)));
            }
        }
    }

    void check_vllm(const ModelEntry& entry) const {
        const bool folder = node_["file"].IsDefined();
        const bool reference = !entry.child.reference.empty();
        if (folder == reference) {
            problem_(node_,
                     path_ + ".file",
                     folder
                         ? "and reference: give one of them"
                         : "is missing; write a folder in Hugging Face's layout, or a reference");
        }
    }

    void read_text(const std::string& key, std::string& text) const {
        const YAML::Node node = node_[key];
        if (!node) {
            return;
        }
        if (node.IsScalar()) {
            text = node.Scalar();
        } else {
            problem_(node, path_ + "." + key, "needs a single value");
        }
    }

    /// A text is split as a shell would; a list is taken word by word.
    void read_command(const std::string& key, std::vector<std::string>& words) const {
        const YAML::Node node = node_[key];
        if (!node) {
            return;
        }
        if (node.IsScalar()) {
            auto split = split_command(node.Scalar());
            if (split.ok()) {
                words = std::move(*split);
            } else {
                problem_(node, path_ + "." + key, split.error().message);
            }
            return;
        }
        const bool list = node.IsSequence() && std::all_of(node.begin(), node.end(), [](auto one) {
                              return one.IsScalar();
                          });
        if (!list) {
            problem_(node, path_ + "." + key, "must be a text or a list of words");
            return;
        }
        for (const YAML::Node& word : node) {
            words.push_back(word.Scalar());
        }
    }

    template <typename Value, typename Parse>
    void read_value(const std::string& key, std::optional<Value>& value, Parse parse) const {
        std::string text;
        read_text(key, text);
        if (text.empty()) {
            return;
        }
        const Result<Value> parsed = parse(text);
        if (parsed.ok()) {
            value = *parsed;
        } else {
            problem_(node_[key], path_ + "." + key, parsed.error().message);
        }
    }

    void read_environment(std::vector<std::string>& environment) const {
        const YAML::Node node = node_["environment"];
        if (!node) {
            return;
        }
        if (!node.IsMap()) {
            problem_(node, path_ + ".environment", "must be a mapping from names to values");
            return;
        }
        for (const auto& variable : node) {
            if (!variable.first.IsScalar() || !variable.second.IsScalar() ||
                !is_variable(variable.first.Scalar())) {
                problem_(variable.first,
                         path_ + ".environment",
                         "must be a mapping from names to single values");
                continue;
            }
            environment.push_back(variable.first.Scalar() + "=" + variable.second.Scalar());
        }
    }

    YAML::Node node_;
    std::string path_;
    const EngineProblem& problem_;
};

}  // namespace

std::string EngineKey::engines_text() const {
    std::string text;
    for (const EngineKind engine : engines) {
        text += (text.empty() ? "" : ", ") + std::string(to_string(engine));
    }
    return text;
}

const std::vector<EngineKey>& engine_key_table() {
    static const std::vector<EngineKey> table{
        {"command",
         {kCommand, kVllm},
         "whisper-server --socket {socket} -m {file}",
         "How the engine is started: a text, split as a shell would, or a list of words. Of vllm: "
         "what stands for `vllm serve`."},
        {"health", {kCommand}, "/health", "A path that answers 200 when the engine can serve."},
        {"memory",
         {kCommand, kVllm},
         "3GiB",
         "What one instance takes, until it has been measured."},
        {"reference",
         {kVllm},
         "org/model",
         "A model of Hugging Face that vLLM fetches itself, instead of a folder in `file`."},
        {"venv",
         {kVllm},
         "~/vllm",
         "The Python environment that vLLM is installed in. Without it: PATH."},
        {"port",
         {kCommand},
         "8080",
         "The port that it listens on, where the command cannot say {port}."},
        {"stop_timeout",
         {kCommand, kVllm},
         "5s",
         "Time that it has to end after SIGTERM, before it and all that it started are killed."},
        {"stop_command",
         {kCommand, kVllm},
         "docker rm --force drover-{model}",
         "Run when its process has ended, however that came: for what does not end with it, as a "
         "container."},
        {"environment",
         {kLlamaCpp, kCommand, kVllm},
         "{HF_HUB_OFFLINE: 1}",
         "Variables that the engine is given beside the usual ones."},
        {"served_name",
         {kCommand, kRemote},
         "org/model",
         "What the engine calls the model; requests are rewritten. Without it: as clients do. Of a "
         "remote, `*`: every model that it lists."},
        {"url",
         {kRemote},
         "https://api.example.com/v1",
         "Where the server is, as OpenAI's clients take it; a list: replicas of it."},
        {"key_env",
         {kRemote},
         "EXAMPLE_KEY",
         "The environment variable that has the server's key."},
        {"key_file", {kRemote}, "keys/example", "A file that has the server's key."},
        {"ca_file",
         {kRemote},
         "office-ca.pem",
         "Certificate authorities to trust for it, in place of the system's."},
        {"connect_timeout",
         {kRemote},
         "5s",
         "Longest that a request waits for a connection, however many replicas are tried."},
        {"first_byte_timeout", {kRemote}, "2m", "Longest that the server may take to answer."},
        {"idle_timeout", {kRemote}, "1m", "Longest silence within an answer."},
        {"health_interval", {kRemote}, "30s", "Between two health checks of a replica."},
        {"failures", {kRemote}, "5", "So many failures in a row, and a replica is left alone."},
        {"open_time",
         {kRemote},
         "5s",
         "For how long at first; then it doubles, up to twelve times that, until it answers."}};
    return table;
}

Result<EngineKind> parse_engine(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, EngineKind>, 4> kEngines{
        {{"llama_cpp", EngineKind::llama_cpp},
         {"vllm", EngineKind::vllm},
         {"command", EngineKind::command},
         {"remote", EngineKind::remote}}};
    for (const auto& [name, engine] : kEngines) {
        if (name == text) {
            return engine;
        }
    }
    return Error{
        ErrorCode::invalid_argument,
        "'" + std::string(text) + "' is not an engine; write llama_cpp, vllm, command or remote"};
}

std::vector<std::string> engine_keys() {
    std::vector<std::string> keys;
    for (const EngineKey& key : engine_key_table()) {
        keys.push_back(key.name);
    }
    return keys;
}

void read_engine(const YAML::Node& node,
                 const std::string& path,
                 const EngineProblem& problem,
                 ModelEntry& entry) {
    EngineReader(node, path, problem).read(entry);
}

}  // namespace drover::config

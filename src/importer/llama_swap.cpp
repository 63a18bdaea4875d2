#include "importer/llama_swap.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <utility>

#include <yaml-cpp/yaml.h>

#include "config/command_line.hpp"
#include "importer/llama_server_flags.hpp"
#include "importer/llama_swap_keys.hpp"
#include "importer/macros.hpp"

namespace drover::importer {

namespace {

/// What llama-swap lets run at once when a model does not say.
constexpr int kConcurrencyDefault = 10;

/// Where a model listens when nothing is said.
constexpr std::string_view kProxyDefault = "http://localhost:${PORT}";

/// The value of `key`, undefined where there is none.
YAML::Node child(const YAML::Node& node, const std::string& key) {
    return node && node.IsMap() ? node[key] : YAML::Node(YAML::NodeType::Undefined);
}

/// The text of a scalar, empty where there is none.
std::string scalar(const YAML::Node& node) {
    return node && node.IsScalar() ? node.Scalar() : "";
}

std::optional<int> number_of(const std::string& text) {
    int number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size() ? std::optional(number)
                                                                    : std::nullopt;
}

/// The command without its comment lines. Only lines that are nothing else are comments.
std::string without_comments(std::string_view text) {
    std::string result;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        const std::size_t first = line.find_first_not_of(" \t");
        if (first == line.npos || line[first] != '#') {
            result.append(line).append("\n");
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return result;
}

/// A model's command as it is to be split. Comments may name macros, which must not end them.
std::string expanded(std::string_view cmd, const Macros& macros) {
    return without_comments(macros.expand(without_comments(cmd)));
}

/// Names of models have no blanks and quotes.
std::string usable_name(std::string name) {
    std::replace_if(
        name.begin(),
        name.end(),
        [](char c) { return std::string_view(" \t\n\"'").find(c) != std::string_view::npos; },
        '-');
    return name;
}

/// The port in "http://127.0.0.1:8999", which must lead to this machine and to nothing below "/".
struct Proxy {
    bool local = false;
    bool plain = false;  ///< no path
    std::string port;    ///< empty: none is named
};

Proxy read_proxy(std::string_view url) {
    Proxy proxy;
    constexpr std::string_view kScheme = "http://";
    if (!url.starts_with(kScheme)) {
        return proxy;
    }
    url.remove_prefix(kScheme.size());
    const std::size_t slash = std::min(url.find('/'), url.size());
    const std::string_view path = url.substr(slash);
    std::string_view host = url.substr(0, slash);
    if (const std::size_t colon = host.rfind(':'); colon != host.npos) {
        proxy.port = std::string(host.substr(colon + 1));
        host = host.substr(0, colon);
    }
    proxy.local = host == "localhost" || host == "127.0.0.1" || host == "[::1]";
    proxy.plain = path.empty() || path == "/";
    return proxy;
}

/// Converts one file.
class Importer {
  public:
    explicit Importer(Macros::Environment environment) : macros_(std::move(environment)) {}

    Imported run(const YAML::Node& root) {
        read_globals(root);
        find_engine(child(root, "models"));
        YAML::Emitter out;
        out << YAML::BeginMap;
        emit_globals(out, root);
        out << YAML::Key << "models" << YAML::Value << YAML::BeginMap;
        for (const auto& entry : child(root, "models")) {
            convert_model(out, entry.first.Scalar(), entry.second, entry.first);
        }
        convert_peers(out, child(root, "peers"));
        out << YAML::EndMap << YAML::EndMap;
        result_.yaml = std::string(out.c_str()) + "\n";
        std::stable_sort(result_.notes.begin(),
                         result_.notes.end(),
                         [](const Note& a, const Note& b) { return a.line < b.line; });
        return std::move(result_);
    }

  private:
    void note(const YAML::Node& node, std::string path, std::string message) {
        result_.notes.push_back({node.Mark().line + 1, std::move(path), std::move(message)});
    }

    // ---- the whole ----

    void read_globals(const YAML::Node& root) {
        static const std::set<std::string_view> known{"models",
                                                      "macros",
                                                      "healthCheckTimeout",
                                                      "logLevel",
                                                      "globalTTL",
                                                      "hooks",
                                                      "groups",
                                                      "peers",
                                                      "routing"};
        for (const auto& entry : root) {
            const std::string key = scalar(entry.first);
            if (const auto told = kGlobalNotes.find(key); told != kGlobalNotes.end()) {
                note(entry.first, key, std::string(told->second));
            } else if (known.count(key) == 0) {
                note(entry.first, key, "is not known");
            }
        }
        define(child(root, "macros"), macros_);
        for (const YAML::Node& one : child(child(child(root, "hooks"), "on_startup"), "preload")) {
            preload_.insert(scalar(one));
        }
        const YAML::Node routing = child(root, "routing");
        const YAML::Node router = child(child(routing, "router"), "settings");
        read_groups(child(root, "groups"), "groups");
        read_groups(child(router, "groups"), "routing.router.settings.groups");
        if (const YAML::Node matrix = child(router, "matrix")) {
            note(matrix, "routing.router.settings.matrix", std::string(kGlobalNotes.at("matrix")));
        }
        const YAML::Node fifo = child(child(child(routing, "scheduler"), "settings"), "fifo");
        for (const auto& entry : child(fifo, "priority")) {
            priorities_[scalar(entry.first)] = scalar(entry.second);
        }
    }

    static void define(const YAML::Node& node, Macros& macros) {
        for (const auto& entry : node) {
            macros.set(scalar(entry.first), scalar(entry.second));
        }
    }

    void read_groups(const YAML::Node& groups, const std::string& path) {
        for (const auto& entry : groups) {
            const YAML::Node& group = entry.second;
            const bool persistent = scalar(child(group, "persistent")) == "true";
            const bool swaps = scalar(child(group, "swap")) != "false";
            if (persistent && !swaps) {
                for (const YAML::Node& member : child(group, "members")) {
                    pinned_.insert(scalar(member));
                }
                continue;
            }
            note(entry.first,
                 path + "." + scalar(entry.first),
                 "is not needed: the memory budget decides which models stay together");
        }
    }

    void emit_globals(YAML::Emitter& out, const YAML::Node& root) {
        if (const YAML::Node level = child(root, "logLevel")) {
            out << YAML::Key << "log" << YAML::Value << YAML::BeginMap << YAML::Key << "level"
                << YAML::Value << scalar(level) << YAML::EndMap;
        }
        const YAML::Node timeout = child(root, "healthCheckTimeout");
        if (timeout || !engine_.empty()) {
            out << YAML::Key << "engine" << YAML::Value << YAML::BeginMap;
            if (!engine_.empty() && engine_.front() == '/') {
                out << YAML::Key << "llama_server" << YAML::Value << engine_;
            }
            if (timeout) {
                out << YAML::Key << "load_timeout" << YAML::Value << scalar(timeout) + "s";
            }
            out << YAML::EndMap;
        }
        out << YAML::Key << "defaults" << YAML::Value << YAML::BeginMap << YAML::Key << "keep_alive"
            << YAML::Value << keep_alive(scalar(child(root, "globalTTL"))) << YAML::EndMap;
    }

    /// Seconds; 0 is never, as it is when nothing is said.
    static std::string keep_alive(const std::string& seconds) {
        return seconds.empty() || seconds == "0" ? "-1" : seconds + "s";
    }

    // ---- peers ----

    void convert_peers(YAML::Emitter& out, const YAML::Node& peers) {
        for (const auto& entry : peers) {
            const std::string path = "peers." + scalar(entry.first);
            for (const char* key : {"filters", "timeouts"}) {
                if (const YAML::Node told = child(entry.second, key)) {
                    note(told, path + "." + key, "has no counterpart");
                }
            }
            const std::string key = key_variable(path, entry.second);
            for (const YAML::Node& model : child(entry.second, "models")) {
                emit_peer(out, scalar(entry.first), scalar(model), entry.second, key);
            }
        }
    }

    /// The variable that has the key. One that is written out is not copied into another file.
    std::string key_variable(const std::string& path, const YAML::Node& peer) {
        constexpr std::string_view kPrefix = "${env.";
        const std::string key = scalar(child(peer, "apiKey"));
        if (key.starts_with(kPrefix) && key.find('}') == key.size() - 1) {
            return key.substr(kPrefix.size(), key.size() - kPrefix.size() - 1);
        }
        if (!key.empty()) {
            note(child(peer, "apiKey"),
                 path + ".apiKey",
                 "is left out: put it into a file and name that as key_file, or use key_env");
        }
        return "";
    }

    void emit_peer(YAML::Emitter& out,
                   const std::string& peer,
                   const std::string& model,
                   const YAML::Node& node,
                   const std::string& key) {
        std::string url = macros_.expand(scalar(child(node, "proxy")));
        while (url.ends_with("/")) {
            url.pop_back();
        }
        out << YAML::Key << usable_name(peer + "/" + model) << YAML::Value << YAML::BeginMap;
        emit(out, "engine", "remote");
        emit(out, "url", url + "/v1");
        emit(out, "served_name", model);
        if (!key.empty()) {
            emit(out, "key_env", key);
        }
        out << YAML::EndMap;
    }

    // ---- models ----

    struct Command {
        std::vector<std::string> words;
        std::string proxy;
        bool failed = false;  ///< it cannot be read; that is noted
    };

    Command command_of(const std::string& name, const YAML::Node& node, const Macros& macros) {
        Command command;
        const std::string proxy = scalar(child(node, "proxy"));
        command.proxy = proxy.empty() ? std::string(kProxyDefault) : macros.expand(proxy);
        auto words = config::split_command(expanded(scalar(child(node, "cmd")), macros));
        if (words.ok() && !words->empty()) {
            command.words = std::move(*words);
            return command;
        }
        command.failed = true;
        const YAML::Node cmd = child(node, "cmd");
        note(cmd ? cmd : node,
             "models." + name + ".cmd",
             words.ok() ? "is empty: the model is left out"
                        : words.error().message + ": the model is left out");
        return command;
    }

    Macros macros_of(const std::string& name, const YAML::Node& node) const {
        Macros macros = macros_;
        define(child(node, "macros"), macros);
        macros.set("MODEL_ID", name);
        return macros;
    }

    /// The llama-server that Drover is to use is the first one that is named.
    void find_engine(const YAML::Node& models) {
        for (const auto& entry : models) {
            const std::string name = scalar(entry.first);
            const Macros macros = macros_of(name, entry.second);
            const auto words =
                config::split_command(expanded(scalar(child(entry.second, "cmd")), macros));
            if (engine_.empty() && words.ok() && !words->empty() &&
                is_llama_server(words->front()) && read_llama_server(*words).has_value()) {
                engine_ = words->front();
            }
        }
    }

    void convert_model(YAML::Emitter& out,
                       const std::string& name,
                       const YAML::Node& node,
                       const YAML::Node& place) {
        const std::string path = "models." + name;
        if (!node.IsMap()) {
            note(place, path, "is not a mapping: it is left out");
            return;
        }
        note_model_keys(path, node);
        const Macros macros = macros_of(name, node);
        const Command command = command_of(name, node, macros);
        if (command.failed) {
            return;
        }
        for (const std::string& unknown : missing(command)) {
            note(child(node, "cmd"), path + ".cmd", "nothing is known of ${" + unknown + "}");
        }
        if (usable_name(name) != name) {
            note(place, path, "is called " + usable_name(name) + ": names have no blanks");
        }
        out << YAML::Key << usable_name(name) << YAML::Value << YAML::BeginMap;
        const auto native =
            command.words.front() == engine_ ? read_llama_server(command.words) : std::nullopt;
        if (native.has_value()) {
            emit_native(out, path, node, *native);
        } else {
            emit_command(out, path, node, command, macros);
        }
        emit_common(out, name, node, macros);
        out << YAML::EndMap;
    }

    static std::vector<std::string> missing(const Command& command) {
        std::vector<std::string> names;
        for (const std::string& word : command.words) {
            for (std::string& name : Macros::unknown(word)) {
                names.push_back(std::move(name));
            }
        }
        return names;
    }

    void note_model_keys(const std::string& path, const YAML::Node& node) {
        for (const auto& entry : node) {
            const std::string key = scalar(entry.first);
            if (const auto told = kModelNotes.find(key); told != kModelNotes.end()) {
                note(entry.first, path + "." + key, std::string(told->second));
            } else if (kModelKeys.count(key) == 0) {
                note(entry.first, path + "." + key, "is not known");
            } else if (key == "unlisted" && scalar(entry.second) == "true") {
                note(entry.first, path + "." + key, "has no counterpart: the model is listed");
            }
        }
    }

    static void emit(YAML::Emitter& out, const std::string& key, const std::string& value) {
        out << YAML::Key << key << YAML::Value << value;
    }

    static void emit(YAML::Emitter& out,
                     const std::string& key,
                     const std::vector<std::string>& values) {
        out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
        for (const std::string& value : values) {
            out << value;
        }
        out << YAML::EndSeq;
    }

    void emit_native(YAML::Emitter& out,
                     const std::string& path,
                     const YAML::Node& node,
                     const LlamaServerModel& model) {
        emit(out, "file", model.file);
        for (const auto& [key, value] : model.settings) {
            emit(out, key, value);
        }
        if (!model.extra_args.empty()) {
            emit(out, "extra_args", model.extra_args);
        }
        for (const std::string& message : model.notes) {
            note(child(node, "cmd"), path + ".cmd", message);
        }
        for (const char* key : {"proxy", "checkEndpoint", "cmdStop", "useModelName"}) {
            if (child(node, key)) {
                note(child(node, key),
                     path + "." + key,
                     "is not needed: Drover starts llama-server itself");
            }
        }
        const auto limit = number_of(scalar(child(node, "concurrencyLimit")));
        if (limit.value_or(0) > 0) {
            note(child(node, "concurrencyLimit"),
                 path + ".concurrencyLimit",
                 "has no counterpart: a model serves `parallel` requests at once, others wait");
        }
    }

    void emit_command(YAML::Emitter& out,
                      const std::string& path,
                      const YAML::Node& node,
                      const Command& command,
                      const Macros& macros) {
        emit(out, "engine", "command");
        std::vector<std::string> words = command.words;
        std::string port;
        place_port(words, port, command, path, node);
        emit(out, "command", words);
        if (!port.empty()) {
            emit(out, "port", port);
        }
        emit_health(out, path, node, macros);
        emit_stop(out, path, node, macros);
        const std::string served = macros.expand(scalar(child(node, "useModelName")));
        if (!served.empty()) {
            emit(out, "served_name", served);
        }
        const int limit = number_of(scalar(child(node, "concurrencyLimit"))).value_or(0);
        emit(out, "parallel", std::to_string(limit > 0 ? limit : kConcurrencyDefault));
        note(child(node, "cmd"),
             path + ".cmd",
             "runs as `engine: command`: set memory to what it takes, so that room is made for it");
    }

    /// The port is Drover's to choose, wherever the command says one.
    void place_port(std::vector<std::string>& words,
                    std::string& port,
                    const Command& command,
                    const std::string& path,
                    const YAML::Node& node) {
        const Proxy proxy = read_proxy(command.proxy);
        if (!proxy.local || !proxy.plain) {
            note(child(node, "proxy"),
                 path + ".proxy",
                 "must lead to a port of this machine, without a path: mend the command's port");
        }
        bool placed = false;
        for (std::string& word : words) {
            const std::string before = word;
            word = replaced(std::move(word), "${PORT}", "{port}");
            const bool fixed = !proxy.port.empty() && proxy.port != "${PORT}";
            if (fixed && (word == proxy.port || word.ends_with("=" + proxy.port))) {
                word = word.substr(0, word.size() - proxy.port.size()) + "{port}";
            }
            placed = placed || word != before;
        }
        if (!placed && number_of(proxy.port).has_value()) {
            port = proxy.port;
        } else if (!placed) {
            note(child(node, "cmd"), path + ".cmd", "names no port: add {port} or {socket}");
        }
    }

    void emit_health(YAML::Emitter& out,
                     const std::string& path,
                     const YAML::Node& node,
                     const Macros& macros) {
        const std::string check = macros.expand(scalar(child(node, "checkEndpoint")));
        if (check == "none") {
            note(child(node, "checkEndpoint"),
                 path + ".checkEndpoint",
                 "must be a path that answers 200: /v1/models is assumed");
            emit(out, "health", "/v1/models");
        } else if (!check.empty()) {
            emit(out, "health", check.front() == '/' ? check : "/" + check);
        }
    }

    /// There it is run to stop the engine, here when that has ended: for what it leaves running.
    void emit_stop(YAML::Emitter& out,
                   const std::string& path,
                   const YAML::Node& node,
                   const Macros& macros) {
        const YAML::Node stop = child(node, "cmdStop");
        const std::string text = expanded(scalar(stop), macros);
        if (text.empty()) {
            return;
        }
        const auto words = config::split_command(text);
        if (text.find("${PID}") != std::string::npos) {
            note(stop, path + ".cmdStop", "is left out: the process has ended when it is run");
        } else if (!words.ok()) {
            note(stop, path + ".cmdStop", words.error().message + ": it is left out");
        } else {
            emit(out, "stop_command", *words);
        }
    }

    void emit_common(YAML::Emitter& out,
                     const std::string& name,
                     const YAML::Node& node,
                     const Macros& macros) {
        std::vector<std::string> aliases;
        for (const YAML::Node& alias : child(node, "aliases")) {
            aliases.push_back(macros.expand(scalar(alias)));
        }
        if (!aliases.empty()) {
            emit(out, "aliases", aliases);
        }
        if (const YAML::Node env = child(node, "env"); env && env.size() > 0) {
            emit_environment(out, name, env, macros);
        }
        if (const std::string ttl = scalar(child(node, "ttl")); !ttl.empty() && ttl != "-1") {
            emit(out, "keep_alive", keep_alive(ttl));
        }
        if (const auto priority = priorities_.find(name); priority != priorities_.end()) {
            emit(out, "priority", priority->second);
        }
        if (pinned_.count(name) > 0) {
            emit(out, "pin", "true");
        }
        if (preload_.count(name) > 0) {
            emit(out, "preload", "true");
        }
    }

    void emit_environment(YAML::Emitter& out,
                          const std::string& name,
                          const YAML::Node& env,
                          const Macros& macros) {
        out << YAML::Key << "environment" << YAML::Value << YAML::BeginMap;
        for (const YAML::Node& one : env) {
            const std::string entry = macros.expand(scalar(one));
            const std::size_t equals = entry.find('=');
            if (equals == std::string::npos || equals == 0) {
                note(one, "models." + name + ".env", "'" + entry + "' is not NAME=value");
            } else {
                emit(out, entry.substr(0, equals), entry.substr(equals + 1));
            }
        }
        out << YAML::EndMap;
    }

    Macros macros_;
    Imported result_;
    std::string engine_;  ///< the llama-server of native models; empty: there are none
    std::set<std::string> preload_;
    std::set<std::string> pinned_;
    std::map<std::string, std::string> priorities_;
};

}  // namespace

Result<Imported> import_llama_swap(
    std::string_view text,
    const std::function<std::optional<std::string>(const std::string& name)>& environment) {
    try {
        const YAML::Node root = YAML::Load(std::string(text));
        const YAML::Node models = child(root, "models");
        if (!models || !models.IsMap()) {
            return Error{ErrorCode::invalid_argument,
                         "is no configuration of llama-swap: it has no `models`"};
        }
        return Importer(environment).run(root);
    } catch (const YAML::Exception& failure) {
        return Error{ErrorCode::invalid_argument,
                     "line " + std::to_string(failure.mark.line + 1) + ": " + failure.msg};
    }
}

}  // namespace drover::importer

#include "config/load.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include <yaml-cpp/yaml.h>

#include "base/nearest.hpp"
#include "base/text.hpp"
#include "config/fields.hpp"
#include "config/load_engine.hpp"
#include "config/load_routes.hpp"
#include "config/ollama_environment.hpp"
#include "config/passed_on.hpp"

namespace drover::config {

namespace fs = std::filesystem;

namespace {

/// Far above any sensible file; bounds what a hostile one can cost.
constexpr std::uintmax_t kFileMax = 1 << 20;

/// Keys of `models.NAME` beside the settings.
const std::vector<std::string> kEntryKeys{
    "engine", "file", "aliases", "task", "pin", "preload", "extra_args"};

template <typename Table>
auto find_field(const Table& table, std::string_view path) {
    return std::find_if(
        table.begin(), table.end(), [path](const auto& one) { return one.path == path; });
}

class Loader {
  public:
    explicit Loader(const Sources& sources) : sources_(sources) {
        config().cache_dir = sources.cache_dir;
        config().runtime_dir = sources.runtime_dir;
    }

    Loaded run() {
        read_ollama_environment();
        read_file();
        read_environment();
        read_flags();
        find_files();
        check_names();
        warn();
        return std::move(loaded_);
    }

  private:
    Config& config() { return loaded_.config; }

    void problem(std::string where, std::string path, std::string message) {
        loaded_.problems.push_back({std::move(where), std::move(path), std::move(message)});
    }

    std::string at(const YAML::Node& node) const {
        return config_file_.string() + ":" + std::to_string(node.Mark().line + 1);
    }

    // ---- file ----

    void read_file() {
        config_file_ = sources_.file;
        if (config_file_.empty()) {
            const auto found = std::find_if(
                sources_.search.begin(), sources_.search.end(), [](const fs::path& one) {
                    std::error_code ignored;
                    return fs::is_regular_file(one, ignored);
                });
            if (found == sources_.search.end()) {
                return;
            }
            config_file_ = *found;
        }
        config().source = config_file_;
        std::error_code error;
        const std::uintmax_t size = fs::file_size(config_file_, error);
        if (error || size > kFileMax) {
            problem(config_file_.string(),
                    "",
                    error ? error.message() : "is larger than 1 MiB: is it the right file?");
            return;
        }
        try {
            read_root(YAML::LoadFile(config_file_.string()));
        } catch (const YAML::Exception& failure) {
            problem(config_file_.string() + ":" + std::to_string(failure.mark.line + 1),
                    "",
                    failure.msg);
        }
    }

    void read_root(const YAML::Node& root) {
        if (root.IsNull()) {
            return;
        }
        if (!root.IsMap()) {
            problem(at(root), "", "the file must be a mapping such as `listen: 127.0.0.1:11435`");
            return;
        }
        for (const auto& entry : unique(root, "")) {
            const std::string& key = entry.first;
            if (key == "models") {
                read_models(entry.second);
            } else if (key == "routes") {
                config().routes =
                    read_routes(entry.second,
                                config_file_,
                                [this](const YAML::Node& node,
                                       const std::string& path,
                                       const std::string& what) { problem(at(node), path, what); });
            } else if (key == "defaults") {
                read_settings(entry.second, "defaults", config().defaults, {});
            } else if (key == "models_dir") {
                read_model_dirs(entry.second);
            } else if (entry.second.IsMap() && is_section(key)) {
                for (const auto& [name, value] : unique(entry.second, key + ".")) {
                    read_field(value, key + "." + name);
                }
            } else {
                read_field(entry.second, key);
            }
        }
    }

    /// The entries of a mapping; doubled keys are reported and the last one counts.
    std::vector<std::pair<std::string, YAML::Node>> unique(const YAML::Node& map,
                                                           const std::string& prefix) {
        std::vector<std::pair<std::string, YAML::Node>> entries;
        std::set<std::string> seen;
        for (const auto& entry : map) {
            if (!entry.first.IsScalar()) {
                problem(at(entry.first), prefix, "a key must be a plain word");
                continue;
            }
            const std::string key = entry.first.Scalar();
            if (!seen.insert(key).second) {
                problem(at(entry.first), prefix + key, "is given twice; remove one");
                std::erase_if(entries, [&key](const auto& one) { return one.first == key; });
            }
            entries.emplace_back(key, entry.second);
        }
        return entries;
    }

    static bool is_section(const std::string& key) {
        return std::any_of(fields().begin(), fields().end(), [&key](const Field& field) {
            return field.path.substr(0, key.size() + 1) == key + ".";
        });
    }

    void read_field(const YAML::Node& node, const std::string& path) {
        const auto field = find_field(fields(), path);
        if (field == fields().end()) {
            unknown(at(node), path, known_paths());
            return;
        }
        if (path == "memory.gpus" && node.IsMap()) {
            for (const auto& [gpu, budget] : unique(node, path + ".")) {
                set_from(budget, path + "." + gpu, gpu + "=", *field);
            }
            return;
        }
        set_from(node, path, "", *field);
    }

    void set_from(const YAML::Node& node,
                  const std::string& path,
                  const std::string& prefix,
                  const Field& field) {
        if (const auto text = scalar(node, path)) {
            given_at_[path] = at(node);
            if (const Status status = field.set(config(), prefix + *text); !status.ok()) {
                problem(at(node), path, status.error().message);
            }
        }
    }

    std::optional<std::string> scalar(const YAML::Node& node, const std::string& path) {
        if (!node.IsScalar()) {
            problem(at(node), path, "needs a single value");
            return std::nullopt;
        }
        return node.Scalar();
    }

    static std::vector<std::string> known_paths() {
        std::set<std::string> known{"models", "defaults", "models_dir", "routes"};
        for (const Field& field : fields()) {
            known.insert(field.path);
            known.insert(field.path.substr(0, field.path.find('.')));
        }
        return {known.begin(), known.end()};
    }

    void unknown(std::string where,
                 const std::string& path,
                 const std::vector<std::string>& known) {
        const std::vector<std::string> nearest = nearest_names(path, known, 1);
        problem(std::move(where),
                path,
                nearest.empty() ? "is not a setting; `drover config reference` lists them all"
                                : "is not a setting; did you mean '" + nearest.front() + "'?");
    }

    void read_settings(const YAML::Node& node,
                       const std::string& path,
                       ModelSettings& settings,
                       const std::vector<std::string>& others) {
        if (!node.IsMap()) {
            problem(at(node), path, "must be a mapping of settings");
            return;
        }
        for (const auto& [key, value] : unique(node, path + ".")) {
            if (key == "extra_args") {
                settings.extra_args = texts(value, path + "." + key);
                continue;
            }
            if (std::find(others.begin(), others.end(), key) != others.end()) {
                continue;
            }
            const auto field = find_field(model_fields(), key);
            if (field == model_fields().end()) {
                std::vector<std::string> known = others;
                known.emplace_back("extra_args");
                for (const ModelField& one : model_fields()) {
                    known.push_back(one.path);
                }
                const std::vector<std::string> nearest = nearest_names(key, known, 1);
                problem(at(value),
                        path + "." + key,
                        nearest.empty() ? "is not a setting of a model"
                                        : "is not a setting of a model; did you mean '" +
                                              nearest.front() + "'?");
                continue;
            }
            const bool list = key == "device" && value.IsSequence();
            if (const auto text =
                    list ? listed(value, path + ".device") : scalar(value, path + "." + key)) {
                if (const Status status = field->set(settings, *text); !status.ok()) {
                    problem(at(value), path + "." + key, status.error().message);
                }
            }
        }
    }

    std::optional<std::string> listed(const YAML::Node& node, const std::string& path) {
        std::string joined;
        for (const std::string& text : texts(node, path)) {
            joined += (joined.empty() ? "" : ",") + text;
        }
        return joined;
    }

    std::vector<std::string> texts(const YAML::Node& node, const std::string& path) {
        std::vector<std::string> result;
        if (node.IsScalar()) {
            result.push_back(node.Scalar());
        } else if (node.IsSequence()) {
            for (const YAML::Node& one : node) {
                if (const auto text = scalar(one, path)) {
                    result.push_back(*text);
                }
            }
        } else {
            problem(at(node), path, "must be a list of texts");
        }
        return result;
    }

    void read_model_dirs(const YAML::Node& node) {
        for (const std::string& text : texts(node, "models_dir")) {
            config().model_dirs.push_back(resolve_path(text, config_file_.parent_path()));
        }
    }

    void read_models(const YAML::Node& node) {
        if (!node.IsMap()) {
            problem(at(node), "models", "must be a mapping from names to models");
            return;
        }
        for (const auto& [name, value] : unique(node, "models.")) {
            read_model(name, value);
        }
    }

    void read_model(const std::string& name, const YAML::Node& node) {
        const std::string path = "models." + name;
        ModelEntry entry;
        entry.name = name;
        if (!node.IsMap()) {
            problem(at(node), path, "must be a mapping of settings");
            return;
        }
        read_entry_value(node["engine"], path + ".engine", entry.engine, parse_engine);
        std::vector<std::string> keys = engine_keys();
        keys.insert(keys.end(), kEntryKeys.begin(), kEntryKeys.end());
        read_settings(node, path, entry.settings, keys);
        if (entry.engine == EngineKind::llama_cpp) {
            if (const Status passed = check_passed_on(entry.settings.extra_args); !passed.ok()) {
                problem(at(node["extra_args"]), path, passed.error().message);
            }
        }
        read_engine(
            node,
            path,
            [this](const YAML::Node& where, const std::string& key, const std::string& what) {
                problem(at(where), key, what);
            },
            entry);
        places_[name] = at(node);
        if (name.empty() || name.find_first_of(" \t\n\"'") != std::string::npos) {
            problem(at(node), path, "a model's name has no spaces and no quotes");
        }
        if (const YAML::Node file = node["file"]) {
            if (const auto text = scalar(file, path + ".file")) {
                entry.file = *text;
                places_[name] = at(file);
            }
        } else if (entry.engine == EngineKind::llama_cpp) {
            problem(at(node), path + ".file", "is missing; write the path of a GGUF file");
        }
        if (const YAML::Node aliases = node["aliases"]) {
            entry.aliases = texts(aliases, path + ".aliases");
        }
        read_entry_value(node["task"], path + ".task", entry.task, parse_task);
        read_entry_value(node["pin"], path + ".pin", entry.pin, parse_flag);
        read_entry_value(node["preload"], path + ".preload", entry.preload, parse_flag);
        config().models.push_back(std::move(entry));
    }

    template <typename Value, typename Parse>
    void read_entry_value(const YAML::Node& node,
                          const std::string& path,
                          Value& value,
                          Parse parse) {
        if (!node) {
            return;
        }
        if (const auto text = scalar(node, path)) {
            if (const auto parsed = parse(*text); parsed.ok()) {
                value = *parsed;
            } else {
                problem(at(node), path, parsed.error().message);
            }
        }
    }

    // ---- environment and flags ----

    void read_environment() {
        const auto apply = [this](const auto& table, auto& target) {
            for (const auto& field : table) {
                if (field.environment.empty()) {
                    continue;
                }
                if (const auto text = sources_.environment(field.environment)) {
                    given_at_[field.path] = "environment " + field.environment;
                    if (const Status status = field.set(target, *text); !status.ok()) {
                        problem(
                            "environment " + field.environment, field.path, status.error().message);
                    }
                }
            }
        };
        apply(fields(), config());
        apply(model_fields(), config().defaults);
        if (const auto text = sources_.environment("DROVER_MODELS_DIR")) {
            config().model_dirs = {resolve_path(*text, fs::current_path())};
        }
    }

    void read_ollama_environment() {
        for (const OllamaVariable& variable : ollama_variables()) {
            const std::string name(variable.name);
            const std::string given = sources_.environment(name).value_or("");
            const auto text = variable.translate(given);
            if (given.empty() || (text.ok() && text->empty() && !variable.paths.empty())) {
                continue;
            }
            if (variable.paths.empty()) {
                loaded_.notes.push_back(name + " is " + std::string(variable.help));
            }
            for (const std::string_view path : variable.paths) {
                set("environment " + name, std::string(path), *text);
                loaded_.notes.push_back(name + " sets " + std::string(path) + " to " + *text +
                                        " unless something else does");
            }
        }
    }

    void read_flags() {
        for (const auto& [path, text] : sources_.flags) {
            set("--set " + path, path, text);
        }
    }

    void set(const std::string& where, const std::string& path, const std::string& text) {
        constexpr std::string_view kDefaults = "defaults.";
        Status status;
        if (path == "models_dir") {
            config().model_dirs = {resolve_path(text, fs::current_path())};
        } else if (const auto field = find_field(fields(), path); field != fields().end()) {
            given_at_[path] = where;
            status = field->set(config(), text);
        } else if (const auto model_field = find_field(
                       model_fields(), path.substr(std::min(path.size(), kDefaults.size())));
                   path.substr(0, kDefaults.size()) == kDefaults &&
                   model_field != model_fields().end()) {
            status = model_field->set(config().defaults, text);
        } else {
            unknown(where, path, known_paths());
        }
        if (!status.ok()) {
            problem(where, path, status.error().message);
        }
    }

    // ---- the whole ----

    /// Makes paths absolute. A bare file name that is not beside the config is looked for in the
    /// model directories.
    void find_files() {
        const fs::path base =
            config_file_.empty() ? fs::current_path() : fs::absolute(config_file_).parent_path();
        for (fs::path& directory : config().model_dirs) {
            directory = fs::absolute(directory);
        }
        std::vector<fs::path> directories = config().model_dirs;
        directories.push_back(config().cache_dir / "models");
        for (ModelEntry& entry : config().models) {
            if (!entry.child.command.empty()) {
                place_program(entry.child.command.front(), base);
            }
            if (!entry.child.venv.empty()) {
                entry.child.venv = resolve_path(entry.child.venv.string(), base);
            }
            if (entry.file.empty()) {
                continue;
            }
            const fs::path given = entry.file;
            entry.file = resolve_path(given.string(), base);
            std::error_code ignored;
            if (fs::exists(entry.file, ignored)) {
                continue;
            }
            const auto found =
                std::find_if(directories.begin(), directories.end(), [&](const fs::path& one) {
                    return !given.has_parent_path() && fs::exists(one / given, ignored);
                });
            if (found == directories.end()) {
                problem(places_[entry.name],
                        "models." + entry.name + ".file",
                        "'" + given.string() + "' does not exist, neither at " +
                            entry.file.string() + " nor in the model directories");
            } else {
                entry.file = *found / given;
            }
        }
        const auto absolute = [&base](fs::path& path) {
            if (!path.empty()) {
                path = resolve_path(path.string(), base);
            }
        };
        absolute(config().engine.llama_server);
        check_engine();
        for (ModelEntry& entry : config().models) {
            absolute(entry.remote.key_file);
            absolute(entry.remote.ca_file);
        }
        absolute(config().log.file);
        absolute(config().store.dir);
        if (config().store.dir.empty()) {
            config().store.dir = config().cache_dir / "store";
        }
        absolute(config().snapshots.directory);
        absolute(config().routing.file);
        if (config().routing.file.empty()) {
            config().routing.file = config().cache_dir / "routing.jsonl";
        }
        absolute(config().memory.measured);
        if (config().memory.measured.empty()) {
            config().memory.measured = config().cache_dir / "measured.sqlite";
        }
    }

    /// Where other engines serve all models, nobody misses it.
    void check_engine() {
        const fs::path& engine = config().engine.llama_server;
        std::error_code ignored;
        const bool needed = std::any_of(
            config().models.begin(), config().models.end(), [](const ModelEntry& entry) {
                return entry.engine == EngineKind::llama_cpp;
            });
        if (needed && !engine.empty() && !fs::exists(engine, ignored)) {
            problem(given_at_["engine.llama_server"],
                    "engine.llama_server",
                    "'" + engine.string() + "' does not exist; without this setting the one of " +
                        "scripts/install-engine is used");
        }
    }

    /// A program with a folder in its name starts beside the config; others are found on PATH.
    static void place_program(std::string& program, const fs::path& base) {
        if (program.find('/') != std::string::npos) {
            program = resolve_path(program, base).string();
        }
    }

    /// Names and aliases are one name space, without regard to case.
    void check_names() {
        std::map<std::string, std::string> owners;
        for (const ModelEntry& entry : config().models) {
            std::vector<std::string> names = entry.aliases;
            names.push_back(entry.name);
            for (const std::string& name : names) {
                const auto [owner, fresh] = owners.emplace(to_lower(name), entry.name);
                if (!fresh) {
                    problem(places_[entry.name],
                            "models." + entry.name,
                            "the name '" + name + "' also belongs to model '" + owner->second +
                                "'; rename one");
                }
            }
        }
        for (const RouteEntry& route : config().routes) {
            const auto [owner, fresh] = owners.emplace(to_lower(route.name), route.name);
            if (!fresh) {
                problem(route.where,
                        "routes." + route.name,
                        "the name also belongs to '" + owner->second + "'; rename one");
            }
        }
        for (const RouteEntry& route : config().routes) {
            for (const ModelUse& use : uses_of(route)) {
                check_is_no_route(use);
            }
        }
    }

    /// A route that names a route might name itself.
    void check_is_no_route(const ModelUse& use) {
        const std::string name = to_lower(use.model);
        for (const RouteEntry& other : config().routes) {
            const std::string taken = to_lower(other.name);
            if (name == taken || name == taken + ":latest") {
                problem(use.where, use.path, "'" + use.model + "' is a route; name a model");
            }
        }
    }

    void warn() {
        const std::string& host = config().listen_host;
        if (host != "localhost" && host != "::1" && host.substr(0, 4) != "127.") {
            loaded_.warnings.push_back(
                {"listen",
                 "listen",
                 "'" + host +
                     "' can be reached from other machines, and Drover has no authentication yet"});
        }
    }

    const Sources& sources_;
    Loaded loaded_;
    fs::path config_file_;
    std::map<std::string, std::string> places_;    ///< where each model stands in the file
    std::map<std::string, std::string> given_at_;  ///< by setting: where it was last given
};

}  // namespace

std::string Problem::to_string() const {
    return where + ": " + (path.empty() ? "" : path + " ") + message;
}

Loaded load(const Sources& sources) {
    return Loader(sources).run();
}

}  // namespace drover::config

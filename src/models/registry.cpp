#include "models/registry.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "base/nearest.hpp"
#include "base/text.hpp"
#include "models/companions.hpp"
#include "models/header_file.hpp"
#include "models/naming.hpp"

namespace drover::models {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLatest = ":latest";
constexpr std::size_t kNearestMax = 3;
/// publisher/repository/snapshot/file is as deep as common stores go.
constexpr int kDirectoryDepthMax = 4;
/// A directory with more entries is no model directory but, say, somebody's home.
constexpr std::size_t kEntriesMax = 20'000;

/// The same file has one key, whatever path leads to it; so have blobs with the same digest, which
/// the stores of Drover, Ollama and the hub's tools use as file names.
std::string file_key(const fs::path& file) {
    constexpr std::size_t kHexDigits = 64;
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(file, error);
    std::string name = canonical.filename().string();
    if (name.starts_with("sha256-")) {
        name.erase(0, 7);
    }
    if (!error && name.size() == kHexDigits &&
        name.find_first_not_of("0123456789abcdef") == name.npos) {
        return "sha256:" + name;
    }
    return error ? file.string() : canonical.string();
}

/// Changes when somebody writes the file anew.
std::string version_of(const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    const auto time = error ? fs::file_time_type() : fs::last_write_time(file, error);
    return error ? "missing"
                 : std::to_string(size) + " " + std::to_string(time.time_since_epoch().count());
}

std::string text_of(const Recipe& recipe) {
    std::string text = recipe.system + '\0' + recipe.parameters + '\0' + recipe.messages;
    for (const fs::path& adapter : recipe.adapters) {
        text += '\0' + adapter.string();
    }
    return text;
}

config::Task resolve_task(config::Task wanted, const ModelFacts& facts) {
    if (wanted != config::Task::automatic) {
        return wanted;
    }
    if (facts.reranker) {
        return config::Task::rerank;
    }
    return facts.pooling ? config::Task::embedding : config::Task::generate;
}

/// The stem that names a model: of a split one without the part's number.
std::string model_stem(const fs::path& file) {
    const std::string stem = file.stem().string();
    const auto split = parse_split_name(stem);
    return split.has_value() ? split->base : stem;
}

}  // namespace

/// Builds one registry.
class Scanner {
  public:
    Scanner(const config::Config& config, const Registry* previous, const Snapshots& snapshots)
        : config_(config), snapshots_(snapshots) {
        if (previous != nullptr) {
            for (const Model& model : previous->models_) {
                known_.emplace(model.identity, &model);
            }
            registry_.ids_used_ = previous->ids_used_;
        }
    }

    Registry run(const std::vector<Candidate>& others) {
        for (const config::ModelEntry& entry : config_.models) {
            add_declared(entry);
        }
        std::vector<fs::path> directories = config_.model_dirs;
        if (directories.empty()) {
            directories.push_back(config_.cache_dir / "models");
        }
        std::map<std::string, fs::path> found;
        for (const fs::path& directory : directories) {
            collect(directory, found);
        }
        add_found(found);
        for (const Candidate& candidate : others) {
            add_candidate(candidate);
        }
        finish();
        return std::move(registry_);
    }

  private:
    // ---- configured models ----

    void add_declared(const config::ModelEntry& entry) {
        Model model;
        model.name = entry.name;
        model.aliases = entry.aliases;
        model.task = entry.task;
        model.declared = true;
        model.origin = Origin::config;
        model.pin = entry.pin;
        model.preload = entry.preload;
        model.settings = entry.settings;
        model.engine = entry.engine;
        model.served_name = entry.served_name;
        model.child = entry.child;
        if (entry.engine == config::EngineKind::llama_cpp) {
            model.projector = projector_beside(entry.file);
            read_model(model, entry.file);
        } else {
            take_unread(model, entry.file);
        }
        for (const fs::path& file : model.files) {
            declared_files_.insert(file_key(file));
        }
        add(std::move(model));
    }

    /// Fills in id, files, facts and task, or says what is broken.
    void read_model(Model& model, const fs::path& file) {
        model.files = {file};
        auto files = files_of_model(file);
        if (files.ok()) {
            model.files = std::move(*files);
        } else {
            model.broken = files.error();
        }
        identify(model);
        if (const auto known = known_.find(model.identity); known != known_.end()) {
            model.id = known->second->id;
            model.facts = known->second->facts;
            model.companions = known->second->companions;
            model.broken = known->second->broken;
        } else if (!model.broken.has_value()) {
            auto facts = read_facts(model.files);
            if (facts.ok()) {
                model.facts = std::move(*facts);
                model.companions = read_companions(model.recipe.adapters, model.projector);
            } else {
                model.broken = facts.error();
            }
        }
        model.task = resolve_task(model.task, model.facts);
    }

    /// A model of an engine that reads its files itself, if it has any. What vLLM will need is
    /// known from a few of them.
    void take_unread(Model& model, const fs::path& file) const {
        if (!file.empty()) {
            model.files = {file};
        }
        identify(model);
        if (const auto known = known_.find(model.identity); known != known_.end()) {
            model.id = known->second->id;
            model.hugging_face = known->second->hugging_face;
            model.broken = known->second->broken;
        } else if (model.engine == config::EngineKind::vllm) {
            read_hugging_face(model, file);
        }
        model.facts.pooling = model.hugging_face.config.pooling;
        model.task = resolve_task(model.task, model.facts);
    }

    void read_hugging_face(Model& model, const fs::path& file) const {
        const auto snapshot = snapshots_.find(model.child.reference);
        if (file.empty() && snapshot == snapshots_.end()) {
            return;
        }
        auto facts = read_hugging_face_folder(file.empty() ? snapshot->second : file);
        if (facts.ok()) {
            model.hugging_face = std::move(*facts);
        } else if (!file.empty()) {
            model.broken = facts.error();  // a snapshot may be half fetched
        }
    }

    /// A configured model is what it is called; a found one is its file, whose name may change when
    /// another file appears beside it. What the engine is given is part of both.
    static void identify(Model& model) {
        model.identity = model.declared ? "name " + model.name : "file";
        for (const fs::path& file : model.files) {
            model.identity += "\n" + file.string() + " " + version_of(file);
        }
        if (model.projector.has_value()) {
            model.identity += "\n" + model.projector->string() + " " + version_of(*model.projector);
        }
        model.identity += "\n" + text_of(model.recipe);
        if (model.broken.has_value()) {
            model.identity += "\n" + model.broken->message;
        }
    }

    // ---- models found in directories ----

    /// Puts the model files below `directory` into `found`, by key; of a split model one.
    void collect(const fs::path& directory, std::map<std::string, fs::path>& found) {
        std::error_code error;
        if (!fs::exists(directory, error) && config_.model_dirs.empty()) {
            return;  // The default directory need not be there.
        }
        fs::recursive_directory_iterator iterator(
            directory, fs::directory_options::skip_permission_denied, error);
        std::size_t entries = 0;
        for (; !error && iterator != fs::recursive_directory_iterator();
             iterator.increment(error)) {
            if (++entries > kEntriesMax) {
                registry_.problems_.push_back(directory.string() + ": more than " +
                                              std::to_string(kEntriesMax) +
                                              " entries, the rest was not searched");
                return;
            }
            if (iterator.depth() >= kDirectoryDepthMax - 1) {
                iterator.disable_recursion_pending();
            }
            consider(iterator->path(), found);
        }
        if (error) {
            registry_.problems_.push_back(directory.string() + ": " + error.message());
        }
    }

    void consider(const fs::path& file, std::map<std::string, fs::path>& found) const {
        std::error_code error;
        const std::string stem = file.stem().string();
        if (!equals_ignoring_case(file.extension().string(), ".gguf") || is_projector(stem) ||
            !fs::is_regular_file(file, error)) {
            return;
        }
        // One key for all parts of a split model: that of where its first file is or would be.
        fs::path first = file;
        if (const auto split = parse_split_name(stem); split.has_value()) {
            first = file.parent_path() / (split->stem_of(1) + file.extension().string());
        }
        const std::string key = file_key(first);
        if (declared_files_.count(key) == 0) {
            found.emplace(key, first);
        }
    }

    void add_found(const std::map<std::string, fs::path>& found) {
        std::map<std::string, int> short_names;
        std::map<std::string, int> stems;
        for (const auto& [key, file] : found) {
            ++short_names[short_name(model_stem(file))];
            ++stems[to_lower(model_stem(file))];
        }
        for (const auto& [key, file] : found) {
            const std::string stem = to_lower(model_stem(file));
            const std::string brief = short_name(stem);
            Model model;
            model.task = config::Task::automatic;
            model.projector = projector_beside(file);
            model.name = short_names[brief] == 1 && is_free(brief) ? brief : stem;
            if (stems[stem] > 1 || !is_free(model.name)) {
                model.name = file.parent_path().filename().string() + "/" + stem;
            } else if (model.name != stem && is_free(stem)) {
                model.aliases.push_back(stem);
            }
            read_model(model, file);
            add(std::move(model));
        }
    }

    // ---- models of stores ----

    void add_candidate(const Candidate& candidate) {
        const std::string key = file_key(candidate.file);
        const std::string content = key + '\0' + text_of(candidate.recipe);
        if (const auto same = places_.find(candidate.broken.has_value() ? "" : content);
            same != places_.end()) {
            add_names(same->second, candidate);
            return;
        }
        Model model;
        model.origin = candidate.origin;
        model.task = config::Task::automatic;
        model.name = candidate.name;
        if (!is_free(model.name)) {
            model.name = std::string(to_string(candidate.origin)) + "/" + model.name;
        }
        for (const std::string& alias : candidate.aliases) {
            if (is_free(alias)) {
                model.aliases.push_back(alias);
            }
        }
        model.projector = candidate.projector;
        model.digest = candidate.digest;
        model.recipe = candidate.recipe;
        model.broken = candidate.broken;
        read_model(model, candidate.file);
        add(std::move(model));
    }

    /// The model is there already under another name.
    void add_names(std::size_t at, const Candidate& candidate) {
        Model& model = registry_.models_[at];
        std::vector<std::string> names = candidate.aliases;
        names.insert(names.begin(), candidate.name);
        for (std::string& name : names) {
            if (registry_.index_.emplace(to_lower(name), at).second) {
                if (name == candidate.name && !candidate.digest.empty()) {
                    model.copies.push_back(name);
                }
                model.aliases.push_back(std::move(name));
            }
        }
        if (model.digest.empty()) {
            model.digest = candidate.digest;
        }
    }

    // ---- all ----

    bool is_free(const std::string& name) const {
        return registry_.index_.count(to_lower(name)) == 0;
    }

    void add(Model model) {
        if (!is_free(model.name)) {
            const std::string what = model.files.empty() ? "one" : model.files.front().string();
            registry_.problems_.push_back("two models are called '" + model.name + "': " + what +
                                          " is left out");
            return;
        }
        if (!model.id) {
            model.id = ModelId{++registry_.ids_used_};
        }
        const std::size_t at = registry_.models_.size();
        if (!model.files.empty()) {
            places_.emplace(file_key(model.files.front()) + '\0' + text_of(model.recipe), at);
        }
        registry_.index_.emplace(to_lower(model.name), at);
        std::vector<std::string> aliases;
        for (std::string& alias : model.aliases) {
            if (registry_.index_.emplace(to_lower(alias), at).second) {
                aliases.push_back(std::move(alias));
            } else {
                registry_.problems_.push_back("alias '" + alias + "' of '" + model.name +
                                              "' names another model already");
            }
        }
        model.aliases = std::move(aliases);
        registry_.models_.push_back(std::move(model));
    }

    void finish() {
        auto& models = registry_.models_;
        std::sort(models.begin(), models.end(), [](const Model& a, const Model& b) {
            return a.name < b.name;
        });
        registry_.index_.clear();
        for (std::size_t i = 0; i < models.size(); ++i) {
            registry_.index_.emplace(to_lower(models[i].name), i);
            for (const std::string& alias : models[i].aliases) {
                registry_.index_.emplace(to_lower(alias), i);
            }
        }
    }

    const config::Config& config_;
    const Snapshots& snapshots_;
    Registry registry_;
    std::map<std::string, const Model*> known_;  ///< by identity
    std::map<std::string, std::size_t> places_;  ///< of models by what they consist of
    std::set<std::string> declared_files_;
};

Registry Registry::scan(const config::Config& config,
                        const std::vector<Candidate>& others,
                        const Registry* previous,
                        const Snapshots& snapshots) {
    return Scanner(config, previous, snapshots).run(others);
}

const Model* Registry::find(std::string_view name) const {
    const std::string wanted = to_lower(name);
    auto found = index_.find(wanted);
    if (found == index_.end()) {
        const bool latest = wanted.size() > kLatest.size() && wanted.ends_with(kLatest);
        found = index_.find(latest ? wanted.substr(0, wanted.size() - kLatest.size())
                                   : wanted + std::string(kLatest));
    }
    return found == index_.end() ? nullptr : &models_[found->second];
}

void Registry::set_broken(ModelId id, Error why) {
    const auto model = std::find_if(
        models_.begin(), models_.end(), [id](const Model& one) { return one.id == id; });
    model->broken = std::move(why);
}

const Model* Registry::find(ModelId id) const {
    for (const Model& model : models_) {
        if (model.id == id) {
            return &model;
        }
    }
    return nullptr;
}

std::vector<std::string> Registry::nearest(std::string_view name) const {
    std::vector<std::string> names;
    for (const Model& model : models_) {
        names.push_back(model.name);
    }
    return nearest_names(name, names, kNearestMax);
}

}  // namespace drover::models

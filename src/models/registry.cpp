#include "models/registry.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "base/nearest.hpp"
#include "base/text.hpp"
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

/// The same file has one key, whatever path leads to it.
std::string file_key(const fs::path& file) {
    std::error_code error;
    const fs::path canonical = fs::weakly_canonical(file, error);
    return error ? file.string() : canonical.string();
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
    Scanner(const config::Config& config, const Registry* previous) : config_(config) {
        if (previous != nullptr) {
            for (const Model& model : previous->models_) {
                if (!model.files.empty()) {
                    known_ids_.emplace(id_key(model), model.id);
                }
            }
            registry_.ids_used_ = previous->ids_used_;
        }
    }

    Registry run() {
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
        model.pin = entry.pin;
        model.preload = entry.preload;
        model.settings = entry.settings;
        read_model(model, entry.file);
        for (const fs::path& file : model.files) {
            declared_files_.insert(file_key(file));
        }
        add(std::move(model));
    }

    /// Fills in files, facts and task, or says what is broken.
    static void read_model(Model& model, const fs::path& file) {
        model.files = {file};
        auto files = files_of_model(file);
        if (!files.ok()) {
            model.broken = files.error();
        } else {
            model.files = std::move(files).value();
            auto facts = read_facts(model.files);
            if (facts.ok()) {
                model.facts = std::move(facts).value();
            } else {
                model.broken = facts.error();
            }
        }
        model.task = resolve_task(model.task, model.facts);
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

    // ---- both ----

    bool is_free(const std::string& name) const {
        return registry_.index_.count(to_lower(name)) == 0;
    }

    /// A configured model is what it is called; a found one is its file, whose name may change when
    /// another file appears beside it.
    static std::string id_key(const Model& model) {
        return model.declared ? "name " + model.name : "file " + file_key(model.files.front());
    }

    void add(Model model) {
        if (!is_free(model.name)) {
            registry_.problems_.push_back("two models are called '" + model.name +
                                          "': " + model.files.front().string() + " is left out");
            return;
        }
        const auto known = known_ids_.find(id_key(model));
        model.id = known != known_ids_.end() ? known->second : ModelId{++registry_.ids_used_};
        const std::size_t at = registry_.models_.size();
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
    Registry registry_;
    std::map<std::string, ModelId> known_ids_;
    std::set<std::string> declared_files_;
};

Registry Registry::scan(const config::Config& config, const Registry* previous) {
    return Scanner(config, previous).run();
}

const Model* Registry::find(std::string_view name) const {
    const std::string wanted = to_lower(name);
    auto found = index_.find(wanted);
    if (found == index_.end() && wanted.size() > kLatest.size() &&
        std::string_view(wanted).substr(wanted.size() - kLatest.size()) == kLatest) {
        found = index_.find(wanted.substr(0, wanted.size() - kLatest.size()));
    }
    return found == index_.end() ? nullptr : &models_[found->second];
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

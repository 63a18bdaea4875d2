#include "store/discovery.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <system_error>
#include <utility>

#include "base/text.hpp"
#include "models/naming.hpp"
#include "platform/files.hpp"
#include "store/hub.hpp"
#include "store/store.hpp"

namespace drover::store {

namespace fs = std::filesystem;
using models::Candidate;
using models::Origin;

namespace {

constexpr std::size_t kEntriesMax = 20'000;
constexpr int kDepthMax = 4;
constexpr Bytes kRefMax = 4_KiB;

fs::path home(const platform::Environment& environment) {
    return environment("HOME").value_or("/");
}

std::vector<fs::path> ollama_roots(const platform::Environment& environment) {
    if (const auto models = environment("OLLAMA_MODELS")) {
        return {*models};
    }
    // The user's own, and that of the service that Ollama's installer makes.
    return {home(environment) / ".ollama/models", "/usr/share/ollama/.ollama/models"};
}

fs::path hub_cache(const platform::Environment& environment) {
    if (const auto cache = environment("HF_HUB_CACHE")) {
        return *cache;
    }
    if (const auto own = environment("HF_HOME")) {
        return fs::path(*own) / "hub";
    }
    if (const auto xdg = environment("XDG_CACHE_HOME")) {
        return fs::path(*xdg) / "huggingface/hub";
    }
    return home(environment) / ".cache/huggingface/hub";
}

std::vector<fs::path> lm_studio_roots(const platform::Environment& environment) {
    return {home(environment) / ".lmstudio/models", home(environment) / ".cache/lm-studio/models"};
}

bool is_folder(const fs::path& path) {
    std::error_code error;
    return fs::is_directory(path, error);
}

std::vector<fs::path> entries(const fs::path& directory) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator one(directory, error);
         !error && one != fs::directory_iterator() && found.size() < kEntriesMax;
         one.increment(error)) {
        found.push_back(one->path());
    }
    std::sort(found.begin(), found.end());
    return found;
}

/// The first files of all models below `directory`.
std::vector<fs::path> model_files_below(const fs::path& directory) {
    std::vector<fs::path> files;
    std::error_code error;
    fs::recursive_directory_iterator walk(
        directory, fs::directory_options::skip_permission_denied, error);
    std::size_t seen = 0;
    for (; !error && walk != fs::recursive_directory_iterator() && seen < kEntriesMax;
         walk.increment(error), ++seen) {
        if (walk.depth() >= kDepthMax) {
            walk.disable_recursion_pending();
        }
        const fs::path& file = walk->path();
        const std::string stem = file.stem().string();
        const auto split = models::parse_split_name(stem);
        std::error_code ignored;
        if (equals_ignoring_case(file.extension().string(), ".gguf") &&
            !models::is_projector(stem) && (!split.has_value() || split->part == 1) &&
            fs::is_regular_file(file, ignored)) {
            files.push_back(file);
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

// ---- stores in Ollama's layout ----

models::Recipe recipe_of(const Store& store, const Manifest& manifest) {
    models::Recipe recipe;
    for (const Layer& layer : manifest.layers) {
        const std::string_view kind = layer.kind();
        if (kind == layer_kind::kAdapter) {
            recipe.adapters.push_back(store.blob(layer.digest));
            continue;
        }
        std::string* place = kind == layer_kind::kTemplate   ? &recipe.template_text
                             : kind == layer_kind::kSystem   ? &recipe.system
                             : kind == layer_kind::kParams   ? &recipe.parameters
                             : kind == layer_kind::kMessages ? &recipe.messages
                                                             : nullptr;
        if (place == nullptr && kind != layer_kind::kLicense) {
            continue;
        }
        auto text = store.text_of(layer);
        if (!text.ok()) {
            continue;  // a model without its licence text still answers
        }
        if (place != nullptr) {
            *place = std::move(*text);
        } else {
            recipe.licences.push_back(std::move(*text));
        }
    }
    return recipe;
}

Candidate candidate_of(const Store& store, const Entry& entry, Origin origin) {
    Candidate candidate{.origin = origin,
                        .name = entry.name.display(),
                        .file = entry.file,
                        .digest = entry.digest.to_string(),
                        .recipe = recipe_of(store, entry.manifest)};
    const bool ours = origin == Origin::store;
    if (!ours && entry.manifest.of_kind(layer_kind::kModel).size() > 1) {
        candidate.broken = Error{ErrorCode::invalid_argument,
                                 "it has several files under names that the engine cannot read; "
                                 "pull it with `drover pull " +
                                     candidate.name + "`"};
        return candidate;
    }
    const auto files = store.model_files(entry);
    if (!files.ok()) {
        candidate.broken = files.error();
        return candidate;
    }
    candidate.file = files->front();
    const auto projectors = entry.manifest.of_kind(layer_kind::kProjector);
    if (!projectors.empty()) {
        candidate.projector = store.blob(projectors.front().digest);
    }
    return candidate;
}

void add_store(const fs::path& root,
               Origin origin,
               std::vector<Candidate>& found,
               std::vector<std::string>& problems) {
    if (!is_folder(root / "manifests")) {
        return;
    }
    const Store store(root);
    for (const Entry& entry : store.list(&problems)) {
        found.push_back(candidate_of(store, entry, origin));
    }
}

// ---- the hub's cache ----

/// "models--ORG--REPO" -> "ORG/REPO".
std::string repository_of(const std::string& folder) {
    constexpr std::string_view kPrefix = "models--";
    if (!folder.starts_with(kPrefix)) {
        return "";
    }
    std::string name = folder.substr(kPrefix.size());
    const std::size_t middle = name.find("--");
    return middle == std::string::npos ? name : name.replace(middle, 2, "/");
}

/// The snapshot that "main" means, else all of them.
std::vector<fs::path> snapshots_of(const fs::path& repository) {
    const auto ref = platform::read_file(repository / "refs/main", kRefMax);
    if (ref.ok()) {
        const std::string revision = ref->substr(0, ref->find_first_of(" \r\n"));
        const fs::path snapshot = repository / "snapshots" / revision;
        if (!revision.empty() && revision.find('/') == std::string::npos && is_folder(snapshot)) {
            return {snapshot};
        }
    }
    return entries(repository / "snapshots");
}

void add_repository(const fs::path& folder, std::vector<Candidate>& found) {
    const std::string repository = repository_of(folder.filename().string());
    if (repository.empty()) {
        return;
    }
    std::vector<Candidate> own;
    for (const fs::path& snapshot : snapshots_of(folder)) {
        for (const fs::path& file : model_files_below(snapshot)) {
            std::string kind = quantisation_of(file.filename().string());
            kind = kind.empty() ? to_lower(file.stem().string()) : kind;
            own.push_back({.origin = Origin::huggingface,
                           .name = repository + ":" + kind,
                           .aliases = {"hf.co/" + repository + ":" + kind},
                           .file = file,
                           .projector = models::projector_beside(file)});
        }
    }
    if (own.size() == 1) {
        own.front().aliases.push_back(repository);
        own.front().aliases.push_back("hf.co/" + repository);
    }
    found.insert(found.end(), own.begin(), own.end());
}

// ---- LM Studio ----

void add_lm_studio(const fs::path& root, std::vector<Candidate>& found) {
    constexpr std::string_view kSuffix = "-gguf";
    for (const fs::path& publisher : entries(root)) {
        for (const fs::path& repository : entries(publisher)) {
            std::string key = to_lower(repository.filename().string());
            if (key.ends_with(kSuffix)) {
                key.resize(key.size() - kSuffix.size());
            }
            const std::vector<fs::path> files = model_files_below(repository);
            for (const fs::path& file : files) {
                const std::string kind = to_lower(quantisation_of(file.filename().string()));
                const bool alone = files.size() == 1;
                const std::string with_kind =
                    key + "@" + (kind.empty() ? to_lower(file.stem().string()) : kind);
                const std::string whole =
                    publisher.filename().string() + "/" + repository.filename().string();
                Candidate candidate{.origin = Origin::lm_studio,
                                    .name = alone ? key : with_kind,
                                    .aliases = {whole + "/" + file.filename().string()},
                                    .file = file,
                                    .projector = models::projector_beside(file)};
                if (alone) {
                    candidate.aliases.push_back(with_kind);
                    candidate.aliases.push_back(whole);
                }
                found.push_back(std::move(candidate));
            }
        }
    }
}

}  // namespace

std::vector<Candidate> discover(const config::Config& config,
                                const platform::Environment& environment,
                                std::vector<std::string>& problems) {
    std::vector<Candidate> found;
    add_store(config.store.dir, Origin::store, found, problems);
    if (config.discover.ollama) {
        for (const fs::path& root : ollama_roots(environment)) {
            if (root != config.store.dir) {
                add_store(root, Origin::ollama, found, problems);
            }
        }
    }
    if (config.discover.huggingface) {
        for (const fs::path& folder : entries(hub_cache(environment))) {
            add_repository(folder, found);
        }
    }
    if (config.discover.lm_studio) {
        for (const fs::path& root : lm_studio_roots(environment)) {
            add_lm_studio(root, found);
        }
    }
    return found;
}

models::Snapshots fetched_references(const config::Config& config,
                                     const platform::Environment& environment) {
    models::Snapshots fetched;
    for (const config::ModelEntry& entry : config.models) {
        const std::string& reference = entry.child.reference;
        const std::size_t middle = reference.find('/');
        if (middle == std::string::npos || reference.find("..") != std::string::npos) {
            continue;
        }
        std::string folder = "models--" + reference;
        folder.replace(folder.find('/'), 1, "--");
        const std::vector<fs::path> snapshots = snapshots_of(hub_cache(environment) / folder);
        if (snapshots.size() == 1) {
            fetched[reference] = snapshots.front();
        }
    }
    return fetched;
}

std::vector<fs::path> places(const config::Config& config,
                             const platform::Environment& environment) {
    std::vector<fs::path> folders = config.model_dirs;
    if (folders.empty()) {
        folders.push_back(config.cache_dir / "models");
    }
    folders.push_back(config.store.dir / "manifests");
    if (config.discover.ollama) {
        for (const fs::path& root : ollama_roots(environment)) {
            folders.push_back(root / "manifests");
        }
    }
    if (config.discover.huggingface) {
        folders.push_back(hub_cache(environment));
    }
    if (config.discover.lm_studio) {
        for (const fs::path& root : lm_studio_roots(environment)) {
            folders.push_back(root);
        }
    }
    return folders;
}

}  // namespace drover::store

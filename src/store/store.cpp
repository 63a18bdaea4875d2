#include "store/store.hpp"

#include <algorithm>
#include <set>
#include <system_error>
#include <utility>

#include "base/text.hpp"
#include "models/naming.hpp"
#include "platform/files.hpp"
#include "platform/os_error.hpp"

namespace drover::store {

namespace fs = std::filesystem;

namespace {

/// HOST/NAMESPACE/MODEL/TAG
constexpr int kManifestDepth = 4;
/// More manifests than this are no store.
constexpr std::size_t kManifestsMax = 20'000;
constexpr Bytes kTextMax = 16_MiB;

Status make_directories(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path, error);
    return error ? Status(platform::os_error(path.string(), error.value())) : Status();
}

bool same_name(const ModelName& a, const ModelName& b) {
    return equals_ignoring_case(a.host, b.host) && equals_ignoring_case(a.space, b.space) &&
           equals_ignoring_case(a.model, b.model) && equals_ignoring_case(a.tag, b.tag);
}

std::set<std::string> files_in_use(const std::vector<Entry>& entries) {
    std::set<std::string> names;
    for (const Entry& entry : entries) {
        for (const Layer& layer : entry.manifest.all()) {
            names.insert(layer.digest.file_name());
        }
    }
    return names;
}

Bytes size_of(const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    return error ? Bytes(0) : Bytes(static_cast<std::int64_t>(size));
}

/// Removes folders that became empty, up to `top`.
void remove_empty_parents(fs::path folder, const fs::path& top) {
    std::error_code error;
    while (folder != top && fs::remove(folder, error) && !error) {
        folder = folder.parent_path();
    }
}

}  // namespace

fs::path Store::blob(const Digest& digest) const {
    return root_ / "blobs" / digest.file_name();
}

bool Store::has(const Digest& digest, Bytes size) const {
    std::error_code error;
    const auto found = fs::file_size(blob(digest), error);
    return !error && Bytes(static_cast<std::int64_t>(found)) == size;
}

std::vector<Entry> Store::list(std::vector<std::string>* problems) const {
    std::vector<Entry> entries;
    const fs::path top = root_ / "manifests";
    std::error_code error;
    fs::recursive_directory_iterator walk(
        top, fs::directory_options::skip_permission_denied, error);
    std::size_t seen = 0;
    for (; !error && walk != fs::recursive_directory_iterator(); walk.increment(error)) {
        if (++seen > kManifestsMax) {
            break;
        }
        if (walk.depth() + 1 < kManifestDepth) {
            continue;
        }
        walk.disable_recursion_pending();
        std::error_code ignored;
        const std::string file_name = walk->path().filename().string();
        if (!walk->is_regular_file(ignored) || file_name.front() == '.') {
            continue;
        }
        const fs::path relative = walk->path().lexically_relative(top);
        std::vector<std::string> parts;
        for (const fs::path& part : relative) {
            parts.push_back(part.string());
        }
        const auto name =
            parse_model_name(parts[0] + "/" + parts[1] + "/" + parts[2] + ":" + parts[3]);
        if (!name.ok()) {
            continue;  // a temporary file, or one that is not ours
        }
        auto entry = read(walk->path(), *name);
        if (entry.ok()) {
            entries.push_back(std::move(*entry));
        } else if (problems != nullptr) {
            problems->push_back(entry.error().message);
        }
    }
    const auto by_name = [](const Entry& a, const Entry& b) {
        return a.name.display() < b.name.display();
    };
    std::sort(entries.begin(), entries.end(), by_name);
    return entries;
}

Result<Entry> Store::read(const fs::path& file, ModelName name) const {
    const auto text = platform::read_file(file, kManifestMax);
    if (!text.ok()) {
        return text.error();
    }
    auto manifest = parse_manifest(*text);
    if (!manifest.ok()) {
        return manifest.error().with(file.string());
    }
    return Entry{std::move(name), file, digest_of(*text), std::move(*manifest)};
}

Result<Entry> Store::find(const ModelName& name) const {
    const fs::path exact = root_ / "manifests" / name.path();
    std::error_code ignored;
    if (fs::is_regular_file(exact, ignored)) {
        return read(exact, name);
    }
    for (Entry& entry : list()) {
        if (same_name(entry.name, name)) {
            return std::move(entry);
        }
    }
    return Error{ErrorCode::not_found, "model '" + name.display() + "' is not in the store"};
}

Status Store::put_manifest(const ModelName& name, std::string_view text) const {
    // A name that differs only in case is the same model: the old spelling stays.
    fs::path file = root_ / "manifests" / name.path();
    if (const auto known = find(name); known.ok()) {
        file = known->file;
    }
    DROVER_TRY(make_directories(file.parent_path()));
    return platform::write_file_atomically(file, text);
}

Result<Layer> Store::put_blob(std::string_view kind, std::string_view text) const {
    Layer layer{.media_type = media_type(kind),
                .digest = digest_of(text),
                .size = Bytes(static_cast<std::int64_t>(text.size()))};
    if (!has(layer.digest, layer.size)) {
        DROVER_TRY(make_directories(root_ / "blobs"));
        DROVER_TRY(platform::write_file_atomically(blob(layer.digest), text));
    }
    return layer;
}

Result<std::string> Store::text_of(const Layer& layer) const {
    return platform::read_file(blob(layer.digest), kTextMax);
}

Status Store::copy(const ModelName& from, const ModelName& to) const {
    const auto entry = find(from);
    if (!entry.ok()) {
        return entry.error();
    }
    const auto text = platform::read_file(entry->file, kManifestMax);
    return text.ok() ? put_manifest(to, *text) : Status(text.error());
}

Result<Bytes> Store::remove(const ModelName& name) const {
    const auto entry = find(name);
    if (!entry.ok()) {
        return entry.error();
    }
    std::error_code error;
    fs::remove(entry->file, error);
    if (error) {
        return platform::os_error(entry->file.string(), error.value());
    }
    remove_empty_parents(entry->file.parent_path(), root_ / "manifests");
    fs::remove_all(root_ / "parts" / entry->digest.file_name(), error);
    const auto alone = platform::FileLock::try_exclusive(root_ / "lock");
    return alone.ok() ? remove_unused(entry->manifest.all()) : Bytes(0);
}

Bytes Store::remove_unused(const std::vector<Layer>& candidates) const {
    const std::set<std::string> used = files_in_use(list());
    Bytes freed;
    for (const Layer& layer : candidates) {
        std::error_code error;
        const fs::path file = blob(layer.digest);
        const Bytes size = size_of(file);
        if (!used.contains(layer.digest.file_name()) && fs::remove(file, error)) {
            freed += size;
        }
    }
    return freed;
}

Result<Bytes> Store::collect_garbage() const {
    std::error_code error;
    if (!fs::exists(root_, error)) {
        return Bytes(0);
    }
    const auto alone = platform::FileLock::try_exclusive(root_ / "lock");
    if (!alone.ok()) {
        return alone.error().code == ErrorCode::unavailable
                   ? Error{ErrorCode::unavailable,
                           "a model is being pulled; try again when it is there"}
                   : alone.error();
    }
    std::vector<std::string> problems;
    const std::vector<Entry> entries = list(&problems);
    if (!problems.empty()) {
        // Its blobs would look unused.
        return Error{ErrorCode::io_error,
                     "nothing is removed while a manifest cannot be read: " + problems.front()};
    }
    const std::set<std::string> used = files_in_use(entries);
    std::set<std::string> models;
    for (const Entry& entry : entries) {
        models.insert(entry.digest.file_name());
    }
    Bytes freed;
    for (const auto& one : fs::directory_iterator(root_ / "blobs", error)) {
        const Bytes size = size_of(one.path());
        std::error_code failed;
        if (!used.contains(one.path().filename().string()) && fs::remove(one.path(), failed)) {
            freed += size;
        }
    }
    for (const auto& one : fs::directory_iterator(root_ / "parts", error)) {
        std::error_code ignored;
        if (!models.contains(one.path().filename().string())) {
            fs::remove_all(one.path(), ignored);
        }
    }
    return freed;
}

Result<platform::FileLock> Store::writing() const {
    DROVER_TRY(make_directories(root_ / "blobs"));
    return platform::FileLock::shared(root_ / "lock");
}

Result<std::vector<fs::path>> Store::model_files(const Entry& entry) const {
    const std::vector<Layer> layers = entry.manifest.of_kind(layer_kind::kModel);
    if (layers.empty()) {
        return Error{ErrorCode::invalid_argument,
                     "its manifest has no GGUF file; only GGUF models can be served"};
    }
    std::vector<fs::path> files;
    for (const Layer& layer : layers) {
        files.push_back(blob(layer.digest));
        std::error_code error;
        if (!fs::is_regular_file(files.back(), error)) {
            return Error{ErrorCode::not_found, "its blob is missing: " + files.back().string()};
        }
    }
    if (layers.size() == 1) {
        return files;
    }
    const fs::path folder = root_ / "parts" / entry.digest.file_name();
    DROVER_TRY(make_directories(folder));
    for (std::size_t i = 0; i < layers.size(); ++i) {
        const std::string title = fs::path(layers[i].title).filename().string();
        if (!models::parse_split_name(fs::path(title).stem().string()).has_value()) {
            return Error{ErrorCode::invalid_argument,
                         "it has several files, and part " + std::to_string(i + 1) +
                             " does not say which one it is"};
        }
        const fs::path link = folder / title;
        const fs::path target = fs::path("../../blobs") / layers[i].digest.file_name();
        std::error_code error;
        if (fs::read_symlink(link, error) != target) {
            fs::remove(link, error);
            fs::create_symlink(target, link, error);
            if (error) {
                return platform::os_error(link.string(), error.value());
            }
        }
        files[i] = link;
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace drover::store

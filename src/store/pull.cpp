#include "store/pull.hpp"

#include <algorithm>
#include <fstream>
#include <set>
#include <utility>
#include <vector>

#include "base/text.hpp"
#include "models/header_file.hpp"
#include "models/naming.hpp"
#include "store/disk_space.hpp"
#include "store/download.hpp"
#include "store/hub.hpp"

namespace drover::store {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kManifestAccept =
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.manifest.v1+json";
constexpr Bytes kTreePageMax = 16_MiB;
constexpr int kTreePagesMax = 50;

std::string percent_encoded(std::string_view path) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        if (is_digit(c) || (to_lower(c) >= 'a' && to_lower(c) <= 'z') ||
            std::string_view("-._~/").find(c) != std::string_view::npos) {
            out += c;
        } else {
            out += {'%', kHex[byte >> 4U], kHex[byte & 0xFU]};
        }
    }
    return out;
}

class Puller {
  public:
    Puller(const Store& store,
           const Reference& reference,
           const PullOptions& options,
           const OnProgress& on_progress,
           const Stopped& stopped)
        : store_(store),
          reference_(reference),
          options_(options),
          on_progress_(on_progress),
          http_({.insecure = options.insecure, .stall = options.stall, .backoff = options.backoff},
                stopped),
          name_(options.name.value_or(reference.name)) {}

    Result<ModelName> run() {
        const auto writing = store_.writing();
        if (!writing.ok()) {
            return writing.error();
        }
        DROVER_TRY(fetch());
        on_progress_({.status = "success"});
        return name_;
    }

  private:
    Status fetch() {
        switch (reference_.kind) {
            case ReferenceKind::registry:
                return from_registry();
            case ReferenceKind::hub:
                return from_hub();
            case ReferenceKind::url:
                return from_url();
            case ReferenceKind::file:
                return from_file();
        }
        DROVER_UNREACHABLE();
    }

    Status from_registry() {
        const ModelName& there = reference_.name;
        const std::string base = reference_.base.empty() ? options_.registry : reference_.base;
        const std::string repository = base + "/v2/" + there.space + "/" + there.model;
        on_progress_({.status = "pulling manifest"});
        const auto text = http_.get(repository + "/manifests/" + there.tag,
                                    std::string(kManifestAccept),
                                    kManifestMax,
                                    "model '" + there.display() + "'");
        if (!text.ok()) {
            return text.error();
        }
        auto manifest = parse_manifest(*text);
        if (!manifest.ok()) {
            return manifest.error().with(there.display());
        }
        if (manifest->of_kind(layer_kind::kModel).empty()) {
            return Error{ErrorCode::invalid_argument,
                         "model '" + there.display() +
                             "' has no GGUF file, so the engine cannot serve it; look for a GGUF "
                             "version"};
        }
        std::vector<RemoteBlob> blobs;
        for (const Layer& layer : manifest->all()) {
            blobs.push_back({.url = repository + "/blobs/" + layer.digest.to_string(),
                             .digest = layer.digest,
                             .size = layer.size,
                             .label = ""});
        }
        DROVER_TRY(bring(blobs));
        return finish(*text);
    }

    Status from_hub() {
        const ModelName& there = reference_.name;
        // Of a revision the name has it, too.
        const std::string repository =
            there.space + "/" + there.model.substr(0, there.model.find('@'));
        const std::string revision =
            reference_.revision.empty() ? "main" : percent_encoded(reference_.revision);
        const std::string what = "hf.co/" + there.space + "/" + there.model;
        if (!options_.hub_token.empty()) {
            http_.set_token(origin_of(options_.hub), options_.hub_token);
        }
        on_progress_({.status = "pulling manifest"});
        std::vector<HubFile> files;
        std::string page = options_.hub + "/api/models/" + repository + "/tree/" + revision +
                           "?recursive=true&limit=1000";
        for (int i = 0; i < kTreePagesMax && !page.empty(); ++i) {
            HttpHead head;
            const auto text = http_.get(page, "application/json", kTreePageMax, what, &head);
            if (!text.ok()) {
                return text.error();
            }
            DROVER_TRY(parse_hub_tree(*text, files));
            page = origin_of(head.next) == origin_of(options_.hub) ? head.next : "";
        }
        const auto choice = choose_hub_files(files, there.tag, reference_.file_in_hub);
        if (!choice.ok()) {
            return choice.error().with(what);
        }
        Manifest manifest;
        std::vector<RemoteBlob> blobs;
        const auto add = [&](const HubFile& file, std::string_view kind) -> Status {
            if (!file.digest.has_value()) {
                return Error{ErrorCode::io_error,
                             what + ": the hub tells no digest of " + file.path};
            }
            blobs.push_back({.url = options_.hub + "/" + repository + "/resolve/" + revision + "/" +
                                    percent_encoded(file.path),
                             .digest = file.digest,
                             .size = file.size,
                             .label = ""});
            manifest.layers.push_back({.media_type = media_type(kind),
                                       .digest = *file.digest,
                                       .size = file.size,
                                       .title = fs::path(file.path).filename().string()});
            return {};
        };
        for (const HubFile& file : choice->model) {
            DROVER_TRY(add(file, layer_kind::kModel));
        }
        if (choice->projector.has_value()) {
            DROVER_TRY(add(*choice->projector, layer_kind::kProjector));
        }
        DROVER_TRY(bring(blobs));
        return finish_own(std::move(manifest));
    }

    Status from_url() {
        const std::string title =
            fs::path(reference_.url.substr(0, reference_.url.find('?'))).filename().string();
        const auto head = http_.probe(reference_.url, title);
        if (!head.ok()) {
            return head.error();
        }
        const std::size_t slash = head->content_range.rfind('/');
        const std::string size = slash == std::string::npos
                                     ? std::to_string(head->length.value_or(0))
                                     : head->content_range.substr(slash + 1);
        const auto bytes = parse_bytes(size);
        if (!bytes.ok() || *bytes <= Bytes(0)) {
            return Error{ErrorCode::io_error, title + ": the server does not tell its size"};
        }
        RemoteBlob blob{.url = reference_.url, .digest = {}, .size = *bytes, .label = head->etag};
        if (!reference_.digest.empty()) {
            blob.digest = *Digest::parse("sha256:" + reference_.digest);
        } else {
            blob.label = title + " " + head->etag;
        }
        DROVER_TRY(check_space({blob}));
        const auto digest = download(http_, store_, blob, options_.connections, on_progress_);
        if (!digest.ok()) {
            return digest.error();
        }
        DROVER_TRY(check_gguf(store_.blob(*digest), title));
        Manifest manifest;
        manifest.layers.push_back({.media_type = media_type(layer_kind::kModel),
                                   .digest = *digest,
                                   .size = *bytes,
                                   .title = title});
        return finish_own(std::move(manifest));
    }

    Status from_file() {
        const auto files = models::files_of_model(reference_.file);
        if (!files.ok()) {
            return files.error();
        }
        Bytes needed;
        for (const fs::path& file : *files) {
            DROVER_TRY(check_gguf(file, file.string()));
            std::error_code error;
            needed += Bytes(static_cast<std::int64_t>(fs::file_size(file, error)));
        }
        DROVER_TRY(store::check_space(store_, needed));
        Manifest manifest;
        for (const fs::path& file : *files) {
            auto layer = import_file(store_, file, on_progress_, http_.stop());
            if (!layer.ok()) {
                return layer.error();
            }
            manifest.layers.push_back(std::move(*layer));
        }
        return finish_own(std::move(manifest));
    }

    /// A page that says "not found" in HTML is no model, whatever its status was.
    static Status check_gguf(const fs::path& file, const std::string& what) {
        const auto part = models::read_part(file);
        return part.ok() ? Status() : Status(part.error().with(what));
    }

    Status check_space(const std::vector<RemoteBlob>& blobs) const {
        Bytes needed;
        std::set<Digest> counted;
        for (const RemoteBlob& blob : blobs) {
            if (!blob.digest.has_value() || counted.insert(*blob.digest).second) {
                needed += missing_bytes(store_, blob);
            }
        }
        return store::check_space(store_, needed);
    }

    Status bring(const std::vector<RemoteBlob>& blobs) {
        DROVER_TRY(check_space(blobs));
        for (const RemoteBlob& blob : blobs) {
            const auto digest = download(http_, store_, blob, options_.connections, on_progress_);
            if (!digest.ok()) {
                return digest.error();
            }
        }
        return {};
    }

    /// For what comes without a manifest: one like the registry's.
    Status finish_own(Manifest manifest) {
        const std::string config =
            to_json(ImageConfig{.format = "gguf",
                                .family = "",
                                .type = "",
                                .quantisation = quantisation_of(manifest.layers.front().title)},
                    manifest.layers);
        auto layer = store_.put_blob("config", config);
        if (!layer.ok()) {
            return layer.error();
        }
        manifest.config = std::move(*layer);
        return finish(to_json(manifest));
    }

    Status finish(std::string_view manifest) {
        on_progress_({.status = "writing manifest"});
        return store_.put_manifest(name_, manifest);
    }

    const Store& store_;
    const Reference& reference_;
    const PullOptions& options_;
    const OnProgress& on_progress_;
    Http http_;
    ModelName name_;
};

}  // namespace

Result<ModelName> pull(const Store& store,
                       const Reference& reference,
                       const PullOptions& options,
                       const OnProgress& on_progress,
                       const Stopped& stopped) {
    return Puller(store, reference, options, on_progress, stopped).run();
}

}  // namespace drover::store

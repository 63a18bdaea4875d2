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
#include "store/remote_files.hpp"

namespace drover::store {

namespace fs = std::filesystem;

namespace {

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
        return reference_.kind == ReferenceKind::file ? from_file() : from_elsewhere();
    }

    Status from_elsewhere() {
        const bool listed = reference_.kind != ReferenceKind::url;
        if (listed) {
            on_progress_({.status = "pulling manifest"});
        }
        const auto found = find_remote_files(http_, reference_, options_);
        if (!found.ok()) {
            return found.error();
        }
        if (!listed) {
            return from_url(found->files.front());
        }
        std::vector<RemoteBlob> blobs;
        Manifest manifest;
        for (const RemoteFile& file : found->files) {
            if (!file.blob.digest.has_value()) {
                return Error{
                    ErrorCode::io_error,
                    reference_.name.display() + ": the hub tells no digest of " + file.title};
            }
            blobs.push_back(file.blob);
            manifest.layers.push_back({.media_type = media_type(file.kind),
                                       .digest = *file.blob.digest,
                                       .size = file.blob.size,
                                       .title = file.title});
        }
        DROVER_TRY(bring(blobs));
        return found->manifest.empty() ? finish_own(std::move(manifest)) : finish(found->manifest);
    }

    Status from_url(const RemoteFile& file) {
        DROVER_TRY(check_space({file.blob}));
        const auto digest = download(http_, store_, file.blob, options_.connections, on_progress_);
        if (!digest.ok()) {
            return digest.error();
        }
        DROVER_TRY(check_gguf(store_.blob(*digest), file.title));
        Manifest manifest;
        manifest.layers.push_back({.media_type = media_type(layer_kind::kModel),
                                   .digest = *digest,
                                   .size = file.blob.size,
                                   .title = file.title});
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

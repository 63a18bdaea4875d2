#include "store/remote_files.hpp"

#include <filesystem>
#include <string_view>
#include <utility>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "store/hub.hpp"
#include "store/manifest.hpp"

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

Result<RemoteFiles> in_registry(Http& http,
                                const Reference& reference,
                                const PullOptions& options) {
    const ModelName& there = reference.name;
    const std::string base = reference.base.empty() ? options.registry : reference.base;
    const std::string repository = base + "/v2/" + there.space + "/" + there.model;
    auto text = http.get(repository + "/manifests/" + there.tag,
                         std::string(kManifestAccept),
                         kManifestMax,
                         "model '" + there.display() + "'");
    if (!text.ok()) {
        return text.error();
    }
    const auto manifest = parse_manifest(*text);
    if (!manifest.ok()) {
        return manifest.error().with(there.display());
    }
    if (manifest->of_kind(layer_kind::kModel).empty()) {
        return Error{ErrorCode::invalid_argument,
                     "model '" + there.display() +
                         "' has no GGUF file, so the engine cannot serve it; look for a GGUF "
                         "version"};
    }
    RemoteFiles found;
    for (const Layer& layer : manifest->all()) {
        found.files.push_back({.blob = {.url = repository + "/blobs/" + layer.digest.to_string(),
                                        .digest = layer.digest,
                                        .size = layer.size,
                                        .label = ""},
                               .kind = std::string(layer.kind()),
                               .title = layer.title});
    }
    found.manifest = std::move(*text);
    return found;
}

/// The hub's files of a revision, page by page.
Result<std::vector<HubFile>> hub_files(Http& http,
                                       const std::string& hub,
                                       std::string page,
                                       const std::string& what) {
    std::vector<HubFile> files;
    for (int i = 0; i < kTreePagesMax && !page.empty(); ++i) {
        HttpHead head;
        const auto text = http.get(page, "application/json", kTreePageMax, what, &head);
        if (!text.ok()) {
            return text.error();
        }
        DROVER_TRY(parse_hub_tree(*text, files));
        page = origin_of(head.next) == origin_of(hub) ? head.next : "";
    }
    return files;
}

Result<RemoteFiles> on_hub(Http& http, const Reference& reference, const PullOptions& options) {
    const ModelName& there = reference.name;
    // Of a revision the name has it, too.
    const std::string repository = there.space + "/" + there.model.substr(0, there.model.find('@'));
    const std::string revision =
        reference.revision.empty() ? "main" : percent_encoded(reference.revision);
    const std::string what = "hf.co/" + there.space + "/" + there.model;
    if (!options.hub_token.empty()) {
        http.set_token(origin_of(options.hub), options.hub_token);
    }
    const auto files = hub_files(http,
                                 options.hub,
                                 options.hub + "/api/models/" + repository + "/tree/" + revision +
                                     "?recursive=true&limit=1000",
                                 what);
    if (!files.ok()) {
        return files.error();
    }
    const auto choice = choose_hub_files(*files, there.tag, reference.file_in_hub);
    if (!choice.ok()) {
        return choice.error().with(what);
    }
    RemoteFiles found;
    const auto add = [&](const HubFile& file, std::string_view kind) {
        found.files.push_back({.blob = {.url = options.hub + "/" + repository + "/resolve/" +
                                               revision + "/" + percent_encoded(file.path),
                                        .digest = file.digest,
                                        .size = file.size,
                                        .label = ""},
                               .kind = std::string(kind),
                               .title = fs::path(file.path).filename().string()});
    };
    for (const HubFile& file : choice->model) {
        add(file, layer_kind::kModel);
    }
    if (choice->projector.has_value()) {
        add(*choice->projector, layer_kind::kProjector);
    }
    return found;
}

Result<RemoteFiles> at_url(Http& http, const Reference& reference) {
    const std::string title =
        fs::path(reference.url.substr(0, reference.url.find('?'))).filename().string();
    const auto head = http.probe(reference.url, title);
    if (!head.ok()) {
        return head.error();
    }
    const std::size_t slash = head->content_range.rfind('/');
    const std::string size = slash == std::string::npos ? std::to_string(head->length.value_or(0))
                                                        : head->content_range.substr(slash + 1);
    const auto bytes = parse_bytes(size);
    if (!bytes.ok() || *bytes <= Bytes(0)) {
        return Error{ErrorCode::io_error, title + ": the server does not tell its size"};
    }
    RemoteBlob blob{.url = reference.url, .digest = {}, .size = *bytes, .label = head->etag};
    if (!reference.digest.empty()) {
        blob.digest = *Digest::parse("sha256:" + reference.digest);
    } else {
        blob.label = title + " " + head->etag;
    }
    RemoteFiles found;
    found.files.push_back(
        {.blob = std::move(blob), .kind = std::string(layer_kind::kModel), .title = title});
    return found;
}

}  // namespace

Result<RemoteFiles> find_remote_files(Http& http,
                                      const Reference& reference,
                                      const PullOptions& options) {
    switch (reference.kind) {
        case ReferenceKind::registry:
            return in_registry(http, reference, options);
        case ReferenceKind::hub:
            return on_hub(http, reference, options);
        case ReferenceKind::url:
            return at_url(http, reference);
        case ReferenceKind::file:
            break;
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::store

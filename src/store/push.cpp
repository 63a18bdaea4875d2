#include "store/push.hpp"

#include <string>
#include <utility>

#include "platform/files.hpp"
#include "store/http.hpp"
#include "store/upload.hpp"

namespace drover::store {

namespace {

Status put_manifest(Http& http, const std::string& url, std::string text, const std::string& what) {
    const auto put = http.send_patiently({.url = url,
                                          .method = "PUT",
                                          .content_type = std::string(kManifestType),
                                          .text = std::move(text)},
                                         what);
    if (!put.ok()) {
        return put.error();
    }
    constexpr long kSuccess = 2;
    return put->head.status / 100 == kSuccess ? Status() : Status(push_failure(*put, url, what));
}

}  // namespace

Status push(const Store& store,
            const ModelName& name,
            const Reference& target,
            const PullOptions& options,
            const OnProgress& on_progress,
            const Stopped& stopped) {
    if (target.kind != ReferenceKind::registry) {
        return Error{ErrorCode::invalid_argument,
                     "models are pushed to registries, [http://]HOST/NAMESPACE/MODEL:TAG; the "
                     "Hugging Face hub takes files from its own tools"};
    }
    on_progress({.status = "retrieving manifest"});
    const auto writing = store.writing();  // nobody removes a blob meanwhile
    if (!writing.ok()) {
        return writing.error();
    }
    const auto entry = store.find(name);
    if (!entry.ok()) {
        return entry.error();
    }
    auto text = platform::read_file(entry->file, kManifestMax);
    if (!text.ok()) {
        return text.error();
    }
    Http http({.insecure = options.insecure, .stall = options.stall, .backoff = options.backoff},
              stopped);
    const std::string base = target.base.empty() ? options.registry : target.base;
    const std::string repository = base + "/v2/" + target.name.space + "/" + target.name.model;
    for (const Layer& layer : entry->manifest.all()) {
        DROVER_TRY(upload(http, store, repository, layer, on_progress));
    }
    on_progress({.status = "pushing manifest"});
    // Its bytes as they are, so that its digest is the same there.
    DROVER_TRY(put_manifest(http,
                            repository + "/manifests/" + target.name.tag,
                            std::move(*text),
                            "the manifest of " + target.name.display()));
    on_progress({.status = "success"});
    return {};
}

}  // namespace drover::store

#include "store/remote_model.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <variant>
#include <vector>

#include "models/companions.hpp"
#include "models/gguf.hpp"
#include "models/gguf_facts.hpp"
#include "store/manifest.hpp"
#include "store/remote_files.hpp"

namespace drover::store {

namespace {

namespace gguf = models::gguf;

/// Holds most headers; large vocabularies need a round or two more, each twice as long.
constexpr std::uint64_t kFirstRead = std::uint64_t{1} << 20;
/// No header is as long: this one is not what it says.
constexpr std::uint64_t kHeaderMax = std::uint64_t{256} << 20;
constexpr int kAttempts = 2;

/// Appends the bytes up to `end`.
Status fetch_up_to(Http& http, const RemoteFile& file, std::uint64_t end, std::string& bytes) {
    const std::uint64_t begin = bytes.size();
    const auto answer =
        http.send_patiently({.url = file.blob.url,
                             .range = std::to_string(begin) + "-" + std::to_string(end - 1),
                             .limit = Bytes(static_cast<std::int64_t>(end - begin))},
                            file.title);
    if (!answer.ok()) {
        return answer.error();
    }
    const bool whole = answer->head.status == 200;
    if (whole && (begin != 0 || answer->too_large)) {
        return Error{ErrorCode::unavailable,
                     origin_of(file.blob.url) +
                         " sends only whole files, so nothing is known before the model is pulled"};
    }
    if (!whole && answer->head.status != 206) {
        return Http::failure(answer->head, answer->body, file.title);
    }
    if (answer->too_large || answer->body.size() != end - begin) {
        return Error{ErrorCode::io_error, origin_of(file.blob.url) + " sent another range"};
    }
    bytes += answer->body;
    return {};
}

Result<models::FilePart> read_header(Http& http, const RemoteFile& file) {
    const auto total = static_cast<std::uint64_t>(file.blob.size.count());
    std::string bytes;
    std::uint64_t wanted = std::min(kFirstRead, total);
    while (true) {
        DROVER_TRY(fetch_up_to(http, file, wanted, bytes));
        auto header = gguf::read_header(std::as_bytes(std::span(bytes)), total);
        if (!header.ok()) {
            return header.error().with(file.title);
        }
        if (auto* complete = std::get_if<gguf::Header>(&header.value()); complete != nullptr) {
            return models::FilePart{std::move(*complete), total};
        }
        const std::uint64_t needed = std::get<gguf::Incomplete>(header.value()).bytes_needed;
        wanted = std::min(total, std::max(needed, wanted * 2));
        if (wanted > kHeaderMax) {
            return Error{ErrorCode::invalid_argument,
                         file.title + ": a header of more than " +
                             to_string(Bytes(static_cast<std::int64_t>(kHeaderMax)))};
        }
    }
}

}  // namespace

Result<RemoteModel> look_at_remote(const std::string& text,
                                   const PullOptions& options,
                                   const Stopped& stopped) {
    const auto reference = parse_reference(text);
    if (!reference.ok()) {
        return reference.error();
    }
    if (reference->kind == ReferenceKind::file) {
        return Error{ErrorCode::invalid_argument, "'" + text + "' is a file on this machine"};
    }
    Http http({.insecure = options.insecure,
               .stall = options.stall,
               .backoff = options.backoff,
               .attempts = kAttempts},
              stopped);
    auto found = find_remote_files(http, *reference, options);
    if (!found.ok()) {
        return found.error();
    }
    RemoteModel model;
    std::vector<models::FilePart> parts;
    for (RemoteFile& file : found->files) {
        file.title = file.title.empty() ? text : file.title;
        const bool is_model = file.kind == layer_kind::kModel;
        const bool is_projector = file.kind == layer_kind::kProjector;
        if (!is_model && !is_projector && file.kind != layer_kind::kAdapter) {
            continue;
        }
        auto part = read_header(http, file);
        if (!part.ok()) {
            return part.error();
        }
        if (is_model) {
            parts.push_back(*std::move(part));
        } else if (is_projector) {
            model.companions.projector = models::tensor_bytes(part->header);
            model.companions.projector_buffers = models::projector_buffers(part->header);
        } else {
            model.companions.adapters += models::tensor_bytes(part->header);
        }
    }
    auto facts = models::facts_from(parts);
    if (!facts.ok()) {
        return facts.error().with(text);
    }
    model.facts = *std::move(facts);
    return model;
}

}  // namespace drover::store

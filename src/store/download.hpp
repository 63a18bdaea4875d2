// Brings one blob into a store: several ranges at once, resumed where an earlier attempt ended
// however that ended, checked by its digest, and shared with others who want the same. Blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "store/byte_ranges.hpp"
#include "store/digest.hpp"
#include "store/http.hpp"
#include "store/progress.hpp"
#include "store/store.hpp"

namespace drover::store {

/// A blob and where it can be had.
struct RemoteBlob {
    std::string url;
    std::optional<Digest> digest;  ///< nothing: not known before it is here
    Bytes size;
    std::string label;  ///< names the unfinished file when there is no digest
};

/// What of `blob` is not in `store` yet, unfinished attempts counted.
Bytes missing_bytes(const Store& store, const RemoteBlob& blob);

/// Returns when the blob is in the store, with its digest. A failure or a stop keeps what was
/// received, except after a wrong digest. REQUIRES: the caller holds store.writing().
Result<Digest> download(Http& http,
                        const Store& store,
                        const RemoteBlob& blob,
                        unsigned connections,
                        const OnProgress& on_progress);

/// Copies a file of this machine into the store.
Result<Layer> import_file(const Store& store,
                          const std::filesystem::path& file,
                          const OnProgress& on_progress,
                          const Stopped& stopped);

/// The digest of a file. `cancelled` when `stopped` says so.
Result<Digest> digest_of_file(const std::filesystem::path& file,
                              const std::function<void(Bytes)>& on_read,
                              const Stopped& stopped);

}  // namespace drover::store

// Which files a model consists of that is somewhere else, and where they can be had: asks a
// registry, the Hugging Face hub or a server. Blocks; any thread.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "store/download.hpp"
#include "store/http.hpp"
#include "store/pull.hpp"
#include "store/reference.hpp"

namespace drover::store {

struct RemoteFile {
    RemoteBlob blob;
    std::string kind;   ///< see layer_kind; empty: none of these
    std::string title;  ///< its own name; empty: a registry does not say
};

struct RemoteFiles {
    std::string manifest;  ///< as the registry wrote it; empty: there is none
    std::vector<RemoteFile> files;
};

/// `not_found` lists what there is instead; `invalid_argument` for a model without a GGUF file.
/// REQUIRES: the reference is no file.
Result<RemoteFiles> find_remote_files(Http& http,
                                      const Reference& reference,
                                      const PullOptions& options);

}  // namespace drover::store

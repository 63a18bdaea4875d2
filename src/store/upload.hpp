// Brings one blob of a store into a registry: in pieces, going on where the registry says that an
// interrupted piece ended. Blocks.
#pragma once

#include <string>

#include "base/result.hpp"
#include "store/http.hpp"
#include "store/manifest.hpp"
#include "store/progress.hpp"
#include "store/store.hpp"

namespace drover::store {

/// Returns when `repository` ("https://HOST/v2/SPACE/MODEL") has the blob that `layer` names, which
/// may have been there before.
Status upload(Http& http,
              const Store& store,
              const std::string& repository,
              const Layer& layer,
              const OnProgress& on_progress);

/// What a registry's refusal of something means for the user.
Error push_failure(const HttpAnswer& answer, const std::string& url, const std::string& what);

}  // namespace drover::store

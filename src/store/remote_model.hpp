// What a model is that is somewhere else, from the headers of its files alone: a megabyte or a few
// of each, by range requests. Blocks; any thread.
#pragma once

#include <string>

#include "base/result.hpp"
#include "models/model_facts.hpp"
#include "store/progress.hpp"
#include "store/pull.hpp"

namespace drover::store {

struct RemoteModel {
    models::ModelFacts facts;
    models::Companions companions;
};

/// `text` is a reference as for a pull, but no file. Fails as a pull does, after few attempts:
/// somebody waits. `unavailable` when a server sends only whole files.
Result<RemoteModel> look_at_remote(const std::string& text,
                                   const PullOptions& options,
                                   const Stopped& stopped);

}  // namespace drover::store

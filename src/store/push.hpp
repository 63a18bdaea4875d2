// Brings a model of a store into a registry with Ollama's protocol, which is that of container
// registries. Blocks; any thread.
#pragma once

#include "base/result.hpp"
#include "store/progress.hpp"
#include "store/pull.hpp"
#include "store/reference.hpp"
#include "store/store.hpp"

namespace drover::store {

/// Returns when the model `name` of `store` can be pulled from where `target` says. What the
/// registry has already is not sent again, so a push that was cut goes on where it was. `not_found`
/// when there is no such model here, `unauthorized` when the registry wants an account.
Status push(const Store& store,
            const ModelName& name,
            const Reference& target,
            const PullOptions& options,
            const OnProgress& on_progress,
            const Stopped& stopped);

}  // namespace drover::store

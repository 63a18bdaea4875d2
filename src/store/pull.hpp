// Brings a model into a store: from a registry, the Hugging Face hub, a URL or a file. Blocks, for
// hours with large models; any thread, and any number at once.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "store/progress.hpp"
#include "store/reference.hpp"
#include "store/store.hpp"

namespace drover::store {

struct PullOptions {
    std::string registry = "https://registry.ollama.ai";  ///< for names without a host
    std::string hub = "https://huggingface.co";
    std::string hub_token;                   ///< sent to the hub only, never logged
    unsigned connections = 8;                ///< for one blob
    std::chrono::seconds stall{30};          ///< a silent connection is dropped after this
    std::chrono::milliseconds backoff{500};  ///< first wait before a repetition
    bool insecure = false;                   ///< plain HTTP to other machines is allowed
    std::optional<ModelName> name;           ///< what to call it; unset: as the reference says
};

/// Returns when the model is complete in `store`, with its name. Fails with what to do about it;
/// whatever was received stays and is used by the next pull, also after the process was killed.
/// `insufficient_storage` is an io_error that says how much is missing. `stopped` is asked several
/// times a second; then the result is `cancelled`.
Result<ModelName> pull(const Store& store,
                       const Reference& reference,
                       const PullOptions& options,
                       const OnProgress& on_progress,
                       const Stopped& stopped);

}  // namespace drover::store

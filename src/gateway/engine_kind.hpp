// Which engine answers for a model, where that changes what it may be asked. On the loop only.
#pragma once

#include "base/ids.hpp"
#include "control/fleet.hpp"

namespace drover::gateway {

/// llama-server does, and what it alone understands may be asked. A model that is not there has
/// none.
inline bool has_llama_server(const control::Fleet& fleet, ModelId model) {
    const control::ModelView* view = fleet.look(model);
    return view != nullptr && view->servers.empty() && view->served_name.empty();
}

/// A vLLM that runs here does, which has OpenAI's paths and words of its own.
inline bool has_vllm(const control::Fleet& fleet, ModelId model) {
    const control::ModelView* view = fleet.look(model);
    return view != nullptr && view->only_openai;
}

}  // namespace drover::gateway

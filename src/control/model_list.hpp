// What a server says it has. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::control {

/// The names in the answer to GET /v1/models, in their order, each once. `engine_failed` when it is
/// not of that form.
Result<std::vector<std::string>> parse_model_list(std::string_view body);

/// Without those that are `names` of ours on their way back: when two servers list each other's
/// models, what we call "PREFIX/NAME" returns beside NAME, perhaps with more in front of it.
/// `prefix` ends with its slash; case does not matter.
std::vector<std::string> without_echoes(std::vector<std::string> names, std::string_view prefix);

/// Whether a model of this name is for embeddings ("text-embedding-3-small") or ranking
/// ("bge-reranker"), as far as a name tells: "embedding", "rerank" or "generate".
std::string task_of_name(std::string_view name);

}  // namespace drover::control

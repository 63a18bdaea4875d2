// The vectors of a data set's prompts, from a running server. Blocks; one thread.
#pragma once

#include <string>

#include "base/result.hpp"
#include "cli/client.hpp"
#include "router/dataset.hpp"
#include "router/embedding_trainer.hpp"

namespace drover::cli {

/// Asks `model` for the vectors of all prompts, 32 at a time, and tells on a terminal how far it
/// is. Errors: those of the client, or that the answer has no vectors.
Result<router::Embeddings> embed_prompts(const Client& client,
                                         const std::string& model,
                                         const router::Dataset& data);

}  // namespace drover::cli

// Embeddings as Ollama gives them. Pure; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// The vectors of an engine's answer to /v1/embeddings, in the order of the texts.
struct Embeddings {
    std::vector<std::vector<float>> vectors;
    std::uint64_t prompt_tokens = 0;
};

/// Reads an engine's answer. `engine_failed` when it is none.
Result<Embeddings> read_embeddings(std::string_view body);

/// Cuts every vector to `dimensions` (0: leaves it) and scales it to length one.
void scale(Embeddings& embeddings, std::size_t dimensions);

/// The body of an answer to /api/embed.
std::string ollama_embed_answer(std::string_view model,
                                const Embeddings& embeddings,
                                std::chrono::nanoseconds total,
                                std::chrono::nanoseconds load);

/// The body of an answer to /api/embeddings: the first vector.
std::string ollama_embeddings_answer(const Embeddings& embeddings);

/// Whether an engine complains that a text is longer than it can take.
bool is_too_long(std::string_view complaint);

}  // namespace drover::gateway::dialect

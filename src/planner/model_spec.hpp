// Models without a file: "7b-q4", "30b:Q4_K_M", "embedding". What is typical of their size stands
// in for a header. Pure; any thread.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "models/model_facts.hpp"

namespace drover::planner {

/// What a header of such a model would say: a size in parameters ("7b", "0.5b", "270m"; "8x7b" is a
/// mixture of experts) and, after '-' or ':', a quantisation (Q4_K_M when there is none; "q4" is
/// Q4_0, "q5" Q5_K_M ...). In front of it "embed-" makes it one for embeddings, and "embedding"
/// alone is one of 0.6 billion parameters in F16. Nullopt when the text does not look like this at
/// all; `invalid_argument` when it does, but its size or quantisation is none.
std::optional<Result<models::ModelFacts>> facts_of_spec(std::string_view text);

/// The same model in another quantisation, "Q4_K_M". REQUIRES: a known one.
models::ModelFacts requantised(models::ModelFacts facts, std::string_view quantisation);

/// Bits that a weight takes on average, all tensors together; nullopt for an unknown quantisation.
std::optional<double> bits_of(std::string_view quantisation);

}  // namespace drover::planner

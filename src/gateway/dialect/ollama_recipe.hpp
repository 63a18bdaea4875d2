// What a model's Modelfile adds to each request in Ollama's words. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>

#include "control/fleet.hpp"
#include "gateway/dialect/ollama_request.hpp"

namespace drover::gateway::dialect {

/// Puts the recipe's system prompt, first messages and parameters where `request` has none of its
/// own, as Ollama does. What makes no sense in a recipe is passed over: it is not the client's.
void apply_recipe(boost::json::object& request, OllamaCall call, const models::Recipe& recipe);

}  // namespace drover::gateway::dialect

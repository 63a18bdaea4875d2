// The predictors that come with Drover, inside the program. docs/routing.md says what they were
// trained on and how. Pure; any thread.
#pragma once

#include "router/predictor.hpp"

namespace drover::router {

/// code, math or chat.
const Predictor& default_task_predictor();

/// Whether a model like Mixtral 8x7B will do, or one like GPT-4 is needed.
const Predictor& default_complexity_predictor();

}  // namespace drover::router

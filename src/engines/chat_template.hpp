// The chat template that an engine is started with when the model file's own will not do. Pure; any
// thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "models/model_facts.hpp"

namespace drover::engines {

/// A Jinja template to use instead of the file's own; nullopt: the file's own will do.
///
/// A file without one would be served in ChatML, whose marks a model that never saw them repeats as
/// text: it gets a plain transcript ("User: ...", "Assistant:"). A template that knows nothing of
/// tools would drop them silently: in front of it comes a part that turns tools, tool calls and
/// their results into messages that it can show, in the notation of the Hermes models
/// (`<tools>`, `<tool_call>`, `<tool_response>`), which the engine recognises and constrains to the
/// tools' schemas. Without tools in a request the result is what the file's own template gives.
std::optional<std::string> replacement_template(const models::ModelFacts& facts);

/// Where generation ends unless a request says otherwise; empty: where the model ends it. One that
/// is shown a plain transcript would go on with what the user might say next.
std::string_view stop_word(const models::ModelFacts& facts);

}  // namespace drover::engines

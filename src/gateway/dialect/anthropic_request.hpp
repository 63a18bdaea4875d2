// Anthropic's messages as OpenAI's chat completions. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// The body of a chat completion that asks the same as the body of POST /v1/messages.
/// `invalid_argument` names what cannot be said in OpenAI's words: documents, tools that the
/// vendor runs. What only tunes the vendor's service (metadata, cache_control) is left out; what
/// llama-server understands beyond OpenAI's API (top_k, thoughts, their budget) is there.
Result<boost::json::object> openai_chat_of_anthropic(const boost::json::object& request);

}  // namespace drover::gateway::dialect

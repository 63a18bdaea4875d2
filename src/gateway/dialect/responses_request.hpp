// OpenAI's responses as its chat completions. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// The body of a chat completion that asks the same as the body of POST /v1/responses.
/// `invalid_argument` names what cannot be said so: files, responses that a server keeps. Tools
/// that are no functions are left out, as llama-server does.
Result<boost::json::object> openai_chat_of_responses(const boost::json::object& request);

}  // namespace drover::gateway::dialect

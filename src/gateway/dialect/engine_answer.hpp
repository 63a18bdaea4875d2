// What engines call by different names in the same answer. Pure; any thread.
#pragma once

#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

namespace drover::gateway::dialect {

/// What a chat's message or delta holds of the model's thoughts: `reasoning_content` of
/// llama-server and others, `reasoning` of vLLM and others. A view into `message`, which may be
/// null.
std::string_view thought_of(const boost::json::value* message);

/// The log-probabilities of a choice, a token each as chats tell them (`token`, `logprob`,
/// `top_logprobs`), whichever of three shapes they came in: a chat's, that of llama-server's own
/// endpoints, or the parallel lists of OpenAI's completions. Empty: none.
boost::json::array token_logprobs(const boost::json::value& choice);

}  // namespace drover::gateway::dialect

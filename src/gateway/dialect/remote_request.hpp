// Requests to a server of which only OpenAI's API is known. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace drover::gateway::dialect {

/// Where OpenAI's API has what our `path` offers: "/chat/completions" is at "/v1/chat/completions".
/// Empty: it has nothing like that.
std::string_view openai_path(std::string_view path);

/// Whether some servers offer `path` beside OpenAI's API, each with a body of its own: it is asked
/// of them as it is, and those that have no such path refuse it.
bool is_beside_openai(std::string_view path);

/// The JSON `body` for a server that calls the model `model`: without what only Drover and its own
/// engines understand. Of a `translated` body, which another API's request became, only what
/// OpenAI's API has is left; of a client's own everything else passes. What is no JSON object stays
/// as it is.
std::string remote_body(std::string_view body, std::string_view model, bool translated);

/// The same for a translated body that is a document.
std::string remote_body(boost::json::object translated, std::string_view model);

}  // namespace drover::gateway::dialect

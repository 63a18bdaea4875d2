// Drover's own requests, which are written for llama-server, as vLLM understands them. Pure; any
// thread.
#pragma once

#include <cstdint>

#include <boost/json/object.hpp>

namespace drover::gateway::dialect {

/// What another API's request became, in vLLM's words: it passes over members that it does not
/// know, so that a limit would be none. `context`: how many tokens a request may use, which a
/// completion without a limit is given, because vLLM else ends it after 16.
boost::json::object vllm_body(boost::json::object body, std::uint64_t context);

/// The same for embeddings: what is too long is cut, where the client allows it.
boost::json::object vllm_embedding_body(boost::json::object body, bool truncate);

}  // namespace drover::gateway::dialect

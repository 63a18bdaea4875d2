// Ollama's requests as those of llama-server. Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// Which of Ollama's endpoints that need an engine.
enum class OllamaCall {
    chat,
    generate,
    embed,
    embeddings,  ///< the older form of embed
};

/// Where llama-server fills in what is between two texts.
inline constexpr std::string_view kInfillPath = "/infill";

/// What to ask an engine of a chat or a generation.
struct OllamaGeneration {
    std::string path;          ///< of the engine's endpoint
    boost::json::object body;  ///< without the prompt when `context` is set
    bool stream = true;        ///< how the client wants the answer; the engine always streams
    bool thinks = false;       ///< thinking was asked for
    bool uses_tools = false;
    bool top_logprobs = false;   ///< alternatives were asked for, too
    bool truncate = true;        ///< drop the oldest messages rather than fail
    bool wants_context = false;  ///< the answer carries the conversation as tokens
    bool debug_render = false;   ///< show the prompt instead
    /// A conversation as tokens, from an earlier answer, to be put before this prompt.
    std::optional<boost::json::array> context{};
};

/// True when there is nothing to generate: an empty prompt or no messages, which loads the model,
/// or unloads it with a `keep_alive` of zero.
bool is_empty(OllamaCall call, const boost::json::object& request);

/// Translates the body of /api/chat. `invalid_argument` names the member that is wrong.
Result<OllamaGeneration> ollama_chat(const boost::json::object& request);

/// Translates the body of /api/generate.
Result<OllamaGeneration> ollama_generate(const boost::json::object& request);

/// Drops the oldest messages of a chat, except those of the system and the last: true when there
/// was one to drop.
bool drop_oldest_message(boost::json::object& body);

/// What to ask an engine of /api/embed and /api/embeddings.
struct OllamaEmbedding {
    std::vector<std::string> input;
    bool truncate = true;
    std::size_t dimensions = 0;  ///< 0: all
};

Result<OllamaEmbedding> ollama_embed(OllamaCall call, const boost::json::object& request);

/// The engine's request for it. `raw`: not scaled to length one, as /api/embeddings gives them.
boost::json::object embedding_body(const OllamaEmbedding& embedding);

}  // namespace drover::gateway::dialect

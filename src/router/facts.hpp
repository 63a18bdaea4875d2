// What routing knows of a request: read from its JSON body in the pieces in which it comes. Pure;
// one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::router {

/// Facts of one request, whatever API it came over.
struct RequestFacts {
    std::string text;  ///< the last user's message, or the prompt or input; bounded
    std::uint64_t conversation =
        0;                    ///< hash of the conversation's beginning; 0: not a conversation
    std::uint64_t bytes = 0;  ///< of text in all, of every role
    std::uint32_t messages = 0;
    bool tools = false;                     ///< some are offered
    bool images = false;                    ///< some are sent
    bool json = false;                      ///< the answer is to be JSON
    bool logprobs = false;                  ///< log-probabilities are wanted
    std::vector<std::string> tool_names{};  ///< of the tools that are offered; bounded

    // Not from the body; whoever took the request says it.
    std::string_view endpoint{};  ///< "chat", "completion", "embedding", "rerank" or "other"
    std::string_view path{};      ///< of the request; both outlive the facts
    bool tells_logprobs = false;  ///< the endpoint can tell log-probabilities
    /// Those that rules ask for; names in lower case.
    std::vector<std::pair<std::string, std::string>> headers{};
};

/// Understands chat requests of OpenAI, Anthropic and Ollama, prompts, responses, embeddings and
/// rerank requests. Of a body that is no JSON object it knows what came before the error.
class FactsReader {
  public:
    FactsReader();
    ~FactsReader();
    FactsReader(const FactsReader&) = delete;
    FactsReader& operator=(const FactsReader&) = delete;

    void put(std::string_view piece);

    /// Call once, after the last piece.
    RequestFacts finish();

  private:
    struct Parser;
    std::unique_ptr<Parser> parser_;
};

}  // namespace drover::router

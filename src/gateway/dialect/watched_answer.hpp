// An engine's answer on its way to the client, judged before any of it gets there. Pure; one thread
// at a time.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/stream_parser.hpp>
#include <boost/json/value.hpp>

#include "base/units.hpp"
#include "gateway/dialect/sse_splitter.hpp"
#include "router/confidence.hpp"
#include "router/verdict.hpp"

namespace drover::gateway::dialect {

/// Understands answers of /v1/chat/completions and /v1/completions, whole or streamed, that tell
/// log-probabilities. Holds everything back until there is a verdict. A good answer is passed on
/// then, and what follows as it comes; of a weak one nothing ever is.
class WatchedAnswer {
  public:
    struct Terms {
        router::Demands demands{};
        bool strip = true;  ///< the client did not ask for log-probabilities: it gets none
        bool json = false;  ///< it asked for JSON
        std::vector<std::string> tools{};  ///< names of those that it offers; empty: not known
        std::string reason{};              ///< what the verdict is added to; see header()
        TimePoint asked{};                 ///< when the model was asked
    };

    explicit WatchedAnswer(Terms terms) : terms_(std::move(terms)) {}

    /// Ready for an answer, the first or another one.
    void start(bool stream);

    /// Takes a piece of the answer's body and appends what the client gets now to `out`.
    void put(std::string_view piece, std::string& out);

    /// The answer is complete.
    void end(std::string& out);

    /// There is no more time: the next piece brings the verdict.
    void hurry() { progress_.hurried = true; }

    /// It is a weak answer.
    bool withheld() const { return opinion_.verdict == router::Verdict::weak; }
    const router::Opinion& opinion() const { return opinion_; }
    /// That the verdict rests on.
    std::size_t tokens() const { return tokens_; }

    /// The line of the response's head, written `now`, that says why this model answers, with its
    /// CRLF.
    std::string header(TimePoint now) const;

  private:
    struct ToolCall {
        std::string name;
        std::string arguments;
    };

    void take_event(std::string_view data, std::string& out);
    void take(boost::json::value& answer);
    void take_choice(boost::json::value& choice);
    void take_text(std::string_view text);
    void take_tool_calls(const boost::json::value* calls);
    bool is_broken() const;
    void decide(std::string& out);

    Terms terms_;
    bool stream_ = false;
    SseSplitter events_;
    std::string held_;  ///< events, or the whole body
    router::Confidence confidence_;
    router::Progress progress_;
    router::Opinion opinion_;
    std::size_t tokens_ = 0;
    std::unique_ptr<boost::json::stream_parser> json_;  ///< of the text, when it should be JSON
    std::map<std::int64_t, ToolCall> tool_calls_;       ///< by index
};

/// By which member log-probabilities are asked for.
enum class LogprobsMember {
    logprobs,  ///< OpenAI's
    n_probs    ///< llama-server's own: it refuses OpenAI's in a stream with tools
};

LogprobsMember logprobs_member(bool llama_server, bool stream, bool tools);

/// The same body, asking for the log-probabilities that WatchedAnswer needs. REQUIRES: `body` is a
/// JSON object with at least one member, for the endpoint at `path`.
std::string with_logprobs(std::string_view body, std::string_view path, LogprobsMember member);

/// The same for a body that is a document already and whose engine may be llama-server; what it
/// asks for itself stays.
void ask_for_logprobs(boost::json::object& body, std::string_view path, bool llama_server);

/// Whether the endpoint at `path` tells log-probabilities in a form that WatchedAnswer understands.
bool tells_logprobs(std::string_view path);

}  // namespace drover::gateway::dialect

// An engine's streamed answer as Ollama's. Pure; one thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "gateway/dialect/clock.hpp"
#include "gateway/dialect/ollama_request.hpp"
#include "gateway/dialect/sse_splitter.hpp"

namespace drover::gateway::dialect {

/// Understands the streams of /v1/chat/completions, /v1/completions and /infill. A client that
/// wants a stream gets a line for every piece; one that does not gets everything in finish().
class OllamaAnswer {
  public:
    struct Terms {
        OllamaCall call = OllamaCall::chat;
        std::string model;  ///< as the client wrote it
        bool stream = true;
        bool top_logprobs = false;
        Instant asked{};  ///< when the request came
    };

    OllamaAnswer(Terms terms, Clock clock) : terms_(std::move(terms)), clock_(std::move(clock)) {}

    /// The engine is there: what is before this is load time.
    void loaded(TimePoint when) { loaded_ = when; }

    /// Takes a piece of the engine's body and appends the lines for the client to `out`.
    void put(std::string_view piece, std::string& out);

    /// The last line of a stream, or the whole answer. `context`: the conversation as tokens.
    std::string finish(std::optional<boost::json::array> context = {});

    /// The engine's complaint within its stream; empty: none.
    const std::string& error() const { return error_; }

    /// What has been answered, without thoughts.
    const std::string& text() const { return text_; }

    /// An answer to a request that generates nothing: `reason` is "load" or "unload".
    std::string nothing(std::string_view reason);

    /// An answer to `_debug_render_only`.
    std::string rendered(std::string_view prompt);

    /// {"error": message} and a line's end.
    static std::string error_line(std::string_view message);

  private:
    struct ToolCall {
        std::string id;
        std::string name;
        std::string arguments;
    };
    struct Piece {
        std::string_view text;
        std::string_view thinking;
        boost::json::array logprobs{};
    };

    void take_event(std::string_view data, std::string& out);
    void take_choice(const boost::json::value& choice, std::string& out);
    void take_tool_calls(const boost::json::value* calls);
    void take_numbers(const boost::json::value& event);
    boost::json::array logprobs_of(const boost::json::value& choice) const;
    boost::json::object frame() const;
    boost::json::object message(std::string_view text, std::string_view thinking) const;
    boost::json::array finished_tool_calls() const;
    void put_text(boost::json::object& answer,
                  std::string_view text,
                  std::string_view thinking) const;
    void put_metrics(boost::json::object& answer) const;
    void emit(Piece piece, std::string& out);

    Terms terms_;
    Clock clock_;
    std::optional<TimePoint> loaded_;
    SseSplitter events_;
    std::string text_;
    std::string thinking_;
    boost::json::array logprobs_;
    std::map<std::int64_t, ToolCall> tool_calls_;  ///< by index
    std::string reason_ = "stop";
    std::string error_;
    std::int64_t prompt_tokens_ = 0;
    std::int64_t tokens_ = 0;
    double prompt_ms_ = 0;
    double tokens_ms_ = 0;
};

}  // namespace drover::gateway::dialect

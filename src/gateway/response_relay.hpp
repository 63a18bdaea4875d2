// Turns an engine's response into what the client gets, piece by piece. No I/O; one thread at a
// time.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/dialect.hpp"
#include "gateway/error_reply.hpp"
#include "gateway/response_parser.hpp"

namespace drover::gateway {

/// Passes a response on as it comes, with a head of its own. Three rules beyond that:
/// 1. A small response of known size goes out in one piece once it is complete, so that an engine
///    which breaks before that still leads to a proper error reply.
/// 2. Of an event stream only whole events go out. An engine writes one at a time, so nothing is
///    delayed, and when it dies in the middle of one the client's parser sees an error event
///    instead of a torn one.
/// 3. Chunks are framed anew: the end of a broken stream can be written properly.
class ResponseRelay {
  public:
    /// How the client asked.
    struct Terms {
        Dialect dialect = Dialect::openai;
        bool head_request = false;
        bool http11 = true;
        bool keep_alive = true;
        std::string_view model;  ///< for x-drover-model; outlives the response
    };

    /// Ready for the next response.
    void start(const Terms& terms);

    /// Takes what the engine sent and returns how much of it was understood. output() then has what
    /// to write, made of views into `input` among others.
    std::size_t put(std::string_view input);

    /// The engine closed the connection.
    void put_eof();

    /// To be written to the client now, in order; valid until the next call.
    const std::vector<std::string_view>& output() const { return output_; }

    /// The engine has sent something.
    bool answered() const { return parser_->started(); }
    /// The client has been sent something: an error can no longer be a reply of its own.
    bool begun() const { return begun_; }
    bool done() const { return parser_->done(); }
    bool failed() const { return parser_->failed(); }
    unsigned status() const { return head_.status; }
    /// The engine keeps the connection open for another request. REQUIRES: done().
    bool engine_keeps_alive() const { return parser_->keep_alive(); }
    /// The client's connection can be used again. REQUIRES: done() or fail() returned true.
    bool client_keeps_alive() const { return keep_alive_; }

    /// The response breaks off. True: output() has an error event and a proper ending. False: only
    /// closing the connection hard can tell the client. REQUIRES: begun().
    bool fail(const ErrorRow& row, std::string_view message);

  private:
    /// Where the body ends for the client.
    enum class Framing {
        none,
        length,
        chunked,
        close
    };

    void decide_framing();
    void build_head();
    void take_events();
    void emit_body();
    void forward();

    Terms terms_;
    std::optional<ResponseParser> parser_;
    ResponseHead head_;
    ResponseParser::Pieces pieces_;
    std::vector<std::string_view> output_;
    Framing framing_ = Framing::none;
    bool begun_ = false;
    bool keep_alive_ = true;
    bool small_ = false;
    std::string client_head_;
    std::string gathered_;  ///< the beginning of a small response
    std::string
        events_;  ///< what to send of an event stream, followed by the torn event's beginning
    std::size_t whole_ = 0;  ///< how much of `events_` was sent
    std::array<char, 24> chunk_head_{};
    std::string ending_;
};

}  // namespace drover::gateway

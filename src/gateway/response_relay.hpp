// Turns an engine's response into what the client gets, piece by piece. No I/O; one thread at a
// time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/error_reply.hpp"
#include "gateway/relay.hpp"
#include "gateway/reply.hpp"
#include "gateway/response_parser.hpp"

namespace drover::gateway {

/// Passes a response on as it comes, with a head of its own. Five rules beyond that:
/// 1. A small response of known size goes out in one piece once it is complete, so that an engine
///    which breaks before that still leads to a proper error reply.
/// 2. Of an event stream only whole events go out. An engine writes one at a time, so nothing is
///    delayed, and when it dies in the middle of one the client's parser sees an error event
///    instead of a torn one.
/// 3. Chunks are framed anew: the end of a broken stream can be written properly.
/// 4. A stream that only the end of the connection ends must have its last event, or it is broken.
/// 5. The head waits for the first byte of the body. Some engines send theirs before they have
///    computed anything, and one that dies then has not answered: another may.
class ResponseRelay final : public Relay {
  public:
    void start(const Terms& terms) override;
    std::size_t put(std::string_view input) override;
    void put_eof() override;
    const std::vector<std::string_view>& output() const override { return output_; }
    bool answered() const override { return parser_->started(); }
    bool body_begun() const override { return parser_->body_begun(); }
    bool begun() const override { return begun_; }
    bool done() const override { return parser_->done(); }
    bool failed() const override { return parser_->failed() || torn_; }
    bool withheld() const override {
        return refused() || (terms_.watched != nullptr && terms_.watched->withheld());
    }
    void hurry() override;
    unsigned status() const override { return head_.status; }
    std::optional<std::chrono::seconds> retry_after() const override { return head_.retry_after; }
    bool engine_keeps_alive() const override { return parser_->keep_alive(); }
    bool client_keeps_alive() const override { return keep_alive_; }
    bool fail(const ErrorRow& row, std::string_view message) override;

    /// The error reply that was kept. REQUIRES: refused().
    Reply refusal() const;
    bool refused() const { return holds_ && done(); }
    /// It says that the request is too long for the model. REQUIRES: refused().
    bool too_long() const { return too_long_; }

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
    bool judge(bool whole);
    void take_events();
    void emit_body();
    void forward();
    void note_tail();
    void translate_events();
    void translate_whole();
    void translate_error();

    Terms terms_;
    std::optional<ResponseParser> parser_;
    ResponseHead head_;
    ResponseParser::Pieces pieces_;
    std::vector<std::string_view> output_;
    Framing framing_ = Framing::none;
    bool begun_ = false;
    bool keep_alive_ = true;
    bool small_ = false;
    bool torn_ = false;   ///< the stream ended without its last event
    std::string tail_;    ///< the last bytes of a stream that ends with its connection
    bool holds_ = false;  ///< this is an error reply that is kept
    bool too_long_ = false;
    bool watching_ = false;  ///< a stream is being judged
    std::string client_head_;
    std::string passed_;                   ///< what a judged answer lets through
    std::string gathered_;                 ///< the beginning of a small response
    std::optional<std::uint64_t> length_;  ///< of the body that the client gets
    std::string
        events_;  ///< what to send of an event stream, followed by the torn event's beginning
    std::size_t whole_ = 0;  ///< how much of `events_` was sent
    std::array<char, 24> chunk_head_{};
    std::string ending_;
    std::string translated_;  ///< what the pieces of a stream became
};

}  // namespace drover::gateway

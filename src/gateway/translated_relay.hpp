// An engine's answer that the client gets in other words. No I/O; one thread at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/relay.hpp"
#include "gateway/response_parser.hpp"

namespace drover::gateway {

/// Hands the body of a successful answer to a translation, piece by piece, and sends what that
/// makes of it as newline-delimited JSON. Nothing is sent before there is something to send, so an
/// early failure is still a reply of its own. It never ends the client's response by itself:
/// finish() does, so that other requests to the engine can come in between.
class TranslatedRelay final : public Relay {
  public:
    /// Appends what the client gets for a piece of the body to `out`.
    using Translate = std::function<void(std::string_view piece, std::string& out)>;

    /// Without a translation everything is gathered in body() and nothing is sent. `begin` is
    /// called before each response: one that breaks off unsent may be followed by another.
    explicit TranslatedRelay(Translate translate = {}, std::function<void()> begin = {})
        : translate_(std::move(translate)), begin_(std::move(begin)) {}

    void start(const Terms& terms) override;
    std::size_t put(std::string_view input) override;
    void put_eof() override;
    const std::vector<std::string_view>& output() const override { return output_; }
    bool answered() const override { return parser_->started(); }
    bool body_begun() const override { return parser_->body_begun(); }
    bool begun() const override { return begun_; }
    bool done() const override { return parser_->done(); }
    bool failed() const override { return parser_->failed() || overflow_; }
    bool withheld() const override {
        return terms_.watched != nullptr && terms_.watched->withheld();
    }
    void hurry() override {
        if (terms_.watched != nullptr) {
            terms_.watched->hurry();
        }
    }
    unsigned status() const override { return head_.status; }
    std::optional<std::chrono::seconds> retry_after() const override { return head_.retry_after; }
    bool engine_keeps_alive() const override { return parser_->keep_alive(); }
    bool client_keeps_alive() const override { return terms_.keep_alive && terms_.http11; }
    bool fail(const ErrorRow& row, std::string_view message) override;

    /// Puts the last lines and the response's end into output().
    void finish(std::string_view lines);

    /// What it gets is not only gathered.
    bool translates() const { return static_cast<bool>(translate_); }

    /// The response has its end.
    bool ended() const { return ended_; }

    /// What was not translated: the body of a failure, or all of it. Bounded.
    const std::string& body() const { return body_; }

  private:
    void take_pieces();
    void emit(std::string_view lines, bool last);

    Translate translate_;
    std::function<void()> begin_;
    Terms terms_;
    std::optional<ResponseParser> parser_;
    ResponseHead head_;
    ResponseParser::Pieces pieces_;
    std::vector<std::string_view> output_;
    std::string body_;
    std::string lines_;
    std::string written_;
    bool begun_ = false;
    bool ended_ = false;
    bool overflow_ = false;
};

}  // namespace drover::gateway

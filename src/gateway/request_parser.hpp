// HTTP/1 requests from bytes: strict, bounded, incremental. One thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

#include "gateway/error_reply.hpp"
#include "gateway/request.hpp"

namespace drover::gateway {

/// Takes the pieces of a request's body as they come.
class BodySink {
  public:
    virtual ~BodySink() = default;
    virtual void on_body(std::string_view piece) = 0;
};

/// Parses one request. put() stops after the head, so that it can be looked at before the body.
class RequestParser final : private boost::beast::http::basic_parser<true> {
  public:
    struct Limits {
        std::size_t head;
        std::uint64_t body;
        /// Requests whose body has no limit; null: none.
        bool (*unbounded)(std::string_view path, Method method) = nullptr;
    };

    /// `head` and `body` are filled; `kept` are the headers, in lower case, that go to
    /// RequestHead::kept. All three outlive the parser.
    RequestParser(Limits limits,
                  RequestHead& head,
                  BodySink& body,
                  std::span<const std::string> kept = {});

    /// Understands as much of `input` as it can and returns how much that was. Look at refusal()
    /// after it.
    std::size_t put(std::string_view input);

    bool started() const { return got_some(); }
    bool head_done() const { return is_header_done(); }
    bool done() const { return is_done(); }
    /// The client sends a body that has not been read yet.
    bool expects_body() const { return head_done() && !done(); }
    /// Why this request cannot be taken; the connection is of no use after it.
    std::optional<Refusal> refusal() const { return refusal_; }
    std::string_view refusal_text() const { return refusal_text_; }
    /// As announced; nullopt when there is none or it is chunked.
    std::optional<std::uint64_t> content_length() const;

  private:
    using Code = boost::beast::error_code;
    using View = boost::beast::string_view;
    using Verb = boost::beast::http::verb;
    using Field = boost::beast::http::field;

    void on_request_impl(Verb verb, View name, View target, int version, Code& code) override;
    void on_response_impl(int, View, int, Code&) override {}
    void on_field_impl(Field field, View name, View value, Code& code) override;
    void on_header_impl(Code& code) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(View piece, Code&) override;
    void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, View piece, Code&) override;
    void on_finish_impl(Code&) override {}

    void refuse(Refusal refusal, std::string_view text, Code& code);
    void refuse_for(const Code& code);
    void take_target(std::string_view target, Code& code);

    Limits limits_;
    RequestHead& head_;
    BodySink& body_;
    std::span<const std::string> kept_;
    std::size_t head_bytes_ = 0;
    std::optional<Refusal> refusal_;
    std::string_view refusal_text_;
};

}  // namespace drover::gateway

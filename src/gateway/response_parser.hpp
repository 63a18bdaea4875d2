// An engine's HTTP/1 response from bytes: bounded, incremental. One thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/beast/http/basic_parser.hpp>

namespace drover::gateway {

/// What matters of a response's head.
struct ResponseHead {
    unsigned status = 0;
    std::string reason;
    std::string headers;  ///< lines to pass on, each with its CRLF: end-to-end headers only
    bool event_stream = false;
    std::optional<std::chrono::seconds> retry_after{};  ///< as a number of seconds

    void clear() {
        status = 0;
        reason.clear();
        headers.clear();
        event_stream = false;
        retry_after.reset();
    }
};

/// Parses one response.
class ResponseParser final : private boost::beast::http::basic_parser<false> {
  public:
    using Pieces = std::vector<std::string_view>;

    /// `head_request`: a response to HEAD has no body. `head` and `pieces` outlive the parser.
    ResponseParser(bool head_request, ResponseHead& head, Pieces& pieces);

    /// Understands as much of `input` as it can and returns how much that was. The body's pieces,
    /// views into `input`, are appended to `pieces`.
    std::size_t put(std::string_view input);

    /// The engine closed the connection. It is a failure unless the body ends so.
    void put_eof();

    bool started() const { return got_some(); }
    bool head_done() const { return is_header_done(); }
    bool body_begun() const { return body_begun_; }
    bool done() const { return is_done(); }
    bool failed() const { return failed_; }
    bool keep_alive() const { return basic_parser::keep_alive(); }
    /// Only the end of the connection ends the body.
    bool ends_with_connection() const { return head_done() && need_eof(); }
    /// The body's size when the head says so.
    std::optional<std::uint64_t> content_length() const;

  private:
    using Code = boost::beast::error_code;
    using View = boost::beast::string_view;
    using Verb = boost::beast::http::verb;
    using Field = boost::beast::http::field;

    void on_request_impl(Verb, View, View, int, Code&) override {}
    void on_response_impl(int status, View reason, int version, Code& code) override;
    void on_field_impl(Field field, View name, View value, Code& code) override;
    void on_header_impl(Code& code) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(View piece, Code&) override;
    void on_chunk_header_impl(std::uint64_t, View, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, View piece, Code&) override;
    void on_finish_impl(Code&) override {}

    ResponseHead& head_;
    Pieces& pieces_;
    std::string nominated_;  ///< headers that Connection declares hop-by-hop, comma-separated
    std::size_t head_bytes_ = 0;
    bool body_begun_ = false;
    bool failed_ = false;
};

}  // namespace drover::gateway

#include "gateway/response_parser.hpp"

#include <algorithm>
#include <charconv>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/rfc7230.hpp>

#include "base/text.hpp"

namespace drover::gateway {

namespace http = boost::beast::http;

namespace {

/// An engine's head is a few hundred bytes.
constexpr std::size_t kHeadMax = 32 * 1024;

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
    return text.size() >= prefix.size() &&
           equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

/// Headers that end here: of the connection, of the framing (written anew), the engine's CORS
/// policy (ours is: none), its identity, and what a remote says to its own client, which we are.
bool ends_here(http::field field, std::string_view name) {
    switch (field) {
        case http::field::alt_svc:
        case http::field::connection:
        case http::field::content_length:
        case http::field::keep_alive:
        case http::field::proxy_authenticate:
        case http::field::proxy_authorization:
        case http::field::proxy_connection:
        case http::field::server:
        case http::field::set_cookie:
        case http::field::strict_transport_security:
        case http::field::te:
        case http::field::trailer:
        case http::field::transfer_encoding:
        case http::field::upgrade:
        case http::field::www_authenticate:
            return true;
        default:  // Beast's enum, not ours
            return starts_with_ignoring_case(name, "access-control-") ||
                   starts_with_ignoring_case(name, "x-drover-");
    }
}

/// Removes the lines of header `name` from `lines`.
void remove_header(std::string& lines, std::string_view name) {
    for (std::size_t at = 0; at < lines.size();) {
        const std::size_t end = lines.find("\r\n", at) + 2;
        const std::size_t colon = lines.find(':', at);
        if (equals_ignoring_case(std::string_view(lines).substr(at, colon - at), name)) {
            lines.erase(at, end - at);
        } else {
            at = end;
        }
    }
}

}  // namespace

ResponseParser::ResponseParser(bool head_request, ResponseHead& head, Pieces& pieces)
    : head_(head), pieces_(pieces) {
    skip(head_request);
    header_limit(kHeadMax);
    body_limit(boost::none);
    eager(true);
    head_.clear();
}

std::size_t ResponseParser::put(std::string_view input) {
    if (done() || failed_) {
        return 0;
    }
    const bool in_head = !head_done();
    Code code;
    const std::size_t used =
        basic_parser::put(boost::asio::buffer(input.data(), input.size()), code);
    if (in_head && !head_done()) {
        head_bytes_ += used;
    }
    failed_ = (code && code != http::error::need_more) || head_bytes_ > kHeadMax ||
              (code == http::error::need_more && input.size() - used >= kHeadMax);
    return used;
}

void ResponseParser::put_eof() {
    Code code = http::error::partial_message;
    if (started() && !done() && !failed_) {
        basic_parser::put_eof(code);
    }
    failed_ = !done();
}

std::optional<std::uint64_t> ResponseParser::content_length() const {
    const auto length = basic_parser::content_length();
    return length.has_value() ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

void ResponseParser::on_response_impl(int status, View reason, int, Code&) {
    head_.status = static_cast<unsigned>(status);
    head_.reason.assign(reason.data(), reason.size());
}

void ResponseParser::on_field_impl(Field field, View name, View value, Code& code) {
    if (head_done()) {
        return;  // trailers are not passed on
    }
    const std::string_view name_text(name.data(), name.size());
    const std::string_view text(value.data(), value.size());
    if (field == Field::transfer_encoding && !equals_ignoring_case(text, "chunked")) {
        code = http::error::bad_transfer_encoding;
        return;
    }
    if (field == Field::connection && !equals_ignoring_case(text, "close") &&
        !equals_ignoring_case(text, "keep-alive")) {
        nominated_.append(text).append(",");
    }
    if (field == Field::retry_after) {
        std::uint32_t seconds = 0;
        const char* end = text.data() + text.size();
        if (const auto [stop, failed] = std::from_chars(text.data(), end, seconds);
            failed == std::errc() && stop == end) {
            head_.retry_after = std::chrono::seconds(seconds);
        }
    }
    if (field == Field::content_type) {
        head_.event_stream = starts_with_ignoring_case(text, "text/event-stream");
    }
    if (!ends_here(field, name_text)) {
        head_.headers.append(name_text).append(": ").append(text).append("\r\n");
    }
}

void ResponseParser::on_header_impl(Code&) {
    for (const View token : http::token_list(nominated_)) {
        remove_header(head_.headers, {token.data(), token.size()});
    }
}

std::size_t ResponseParser::on_body_impl(View piece, Code&) {
    pieces_.emplace_back(piece.data(), piece.size());
    body_begun_ = body_begun_ || !piece.empty();
    return piece.size();
}

std::size_t ResponseParser::on_chunk_body_impl(std::uint64_t, View piece, Code& code) {
    return on_body_impl(piece, code);
}

}  // namespace drover::gateway

#include "engines/http_call.hpp"

#include <array>
#include <memory>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "engines/close_at.hpp"
#include "engines/upstream_connection.hpp"

namespace drover::engines {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using platform::as_result;
using platform::Task;
using Parser = http::response_parser<http::string_body>;

namespace {

/// Far above an answer about 256 slots, or the tokens of the longest prompt.
constexpr std::uint64_t kAnswerMax = 16ULL * 1024 * 1024;
constexpr std::size_t kReadSize = 16UL * 1024;

Error broke_off() {
    return {ErrorCode::engine_failed, "the engine broke off"};
}

std::string head_of(const Endpoint& endpoint, const HttpQuestion& question) {
    std::string head = question.method + " ";
    endpoint.append_target(head, question.path);
    head += " HTTP/1.1\r\n";
    endpoint.append_headers(head);
    head += "Accept: application/json\r\nConnection: close\r\n";
    if (question.method == "POST") {
        head += "Content-Type: application/json\r\nContent-Length: " +
                std::to_string(question.body.size()) + "\r\n";
    }
    return head + "\r\n";
}

Task<bool> send(UpstreamConnection& connection, std::string request) {
    for (std::size_t sent = 0; sent < request.size();) {
        const auto rest = asio::buffer(request.data() + sent, request.size() - sent);
        const auto [error, count] = co_await connection.async_write_some(rest, as_result);
        if (error) {
            co_return false;
        }
        sent += count;
    }
    co_return true;
}

/// Reads until the parser is done; false when the answer breaks off or makes no sense.
Task<bool> receive(UpstreamConnection& connection, Parser& parser) {
    std::string input;
    std::array<char, kReadSize> piece{};
    while (!parser.is_done()) {
        const auto [failed, count] =
            co_await connection.async_read_some(asio::buffer(piece), as_result);
        boost::system::error_code error;
        if (failed == asio::error::eof && parser.got_some()) {
            parser.put_eof(error);
            co_return !error && parser.is_done();
        }
        if (failed) {
            co_return false;
        }
        input.append(piece.data(), count);
        input.erase(0, parser.put(asio::buffer(input), error));
        if (error && error != http::error::need_more) {
            co_return false;
        }
    }
    co_return true;
}

}  // namespace

Task<Result<HttpAnswer>> http_call(platform::Loop& loop,
                                   const Endpoint& endpoint,
                                   HttpQuestion question,
                                   TimePoint deadline) {
    auto connection = co_await connect(loop, endpoint, deadline);
    if (!connection.ok()) {
        co_return connection.error();
    }
    const CloseAt close_at(loop, **connection, deadline);
    std::string request = head_of(endpoint, question) + question.body;
    Parser parser;
    parser.eager(true);
    parser.body_limit(kAnswerMax);
    bool complete = co_await send(**connection, std::move(request));
    if (complete) {
        complete = co_await receive(**connection, parser);
    }
    if (close_at.late()) {
        co_return Error{ErrorCode::timeout, "the engine took too long"};
    }
    if (!complete) {
        co_return broke_off();
    }
    HttpAnswer answer{.status = parser.get().result_int(), .body = std::move(parser.get().body())};
    co_return answer;
}

}  // namespace drover::engines

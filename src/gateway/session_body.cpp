// The part of a session that reads what the client sends behind the head, and says why it does not.
#include <algorithm>
#include <chrono>
#include <string>

#include "base/text.hpp"
#include "gateway/session.hpp"

namespace drover::gateway {

using platform::Task;

namespace {

constexpr std::size_t kLargeReadSize = 64 * 1024;
/// A body is believed up to this size; beyond it memory follows what really arrives.
constexpr std::size_t kReserveMax = 1024 * 1024;
/// How long a client that is still sending gets to read why it was refused.
constexpr std::chrono::milliseconds kLinger{2'000};

}  // namespace

Task<> Session::invite_body() {
    if (client_.input().empty() && equals_ignoring_case(head_.expect, "100-continue")) {
        reply_pieces_.assign(1, "HTTP/1.1 100 Continue\r\n\r\n");
        if (!client_.send(reply_pieces_)) {
            co_await client_.flush();
        }
    }
}

Task<bool> Session::read_body() {
    co_await invite_body();
    const std::size_t announced =
        static_cast<std::size_t>(parser_->content_length().value_or(kReadSize));
    body_.reserve(std::min(announced, kReserveMax));
    deadline_.set(Waiting::body, context_.limits.body_timeout);
    for (;;) {
        if (!client_.input().empty()) {
            client_.consume(parser_->put(client_.input()));
        }
        if (parser_->done() || parser_->refusal().has_value() || crowded_) {
            break;
        }
        const bool more = co_await client_.more(announced > kReadSize ? kLargeReadSize : kReadSize);
        if (!more) {
            break;
        }
    }
    deadline_.clear();
    if (crowded_) {
        keep_alive_ = false;
        co_await reply(refused_by_crowd());
        co_return false;
    }
    if (parser_->done()) {
        co_return true;
    }
    keep_alive_ = false;
    if (parser_->refusal().has_value() || timed_out_) {
        co_await reply(refused_by_parser());
    }
    co_return false;
}

void Session::on_body(std::string_view piece) {
    crowded_ = crowded_ || !body_share_.grow(Bytes(static_cast<std::int64_t>(piece.size())));
    if (crowded_) {
        return;
    }
    if (route_ != nullptr && route_->model_from == ModelFrom::json) {
        fields_reader_.put(piece);
    }
    if (route_ != nullptr && needs_document(route_->action)) {
        document_.put(piece);
        return;
    }
    body_ += piece;
}

Reply Session::refused_by_parser() const {
    const Dialect dialect = dialect_of(head_.path);
    if (timed_out_) {
        return refusal_reply(dialect,
                             Refusal::too_slow,
                             parser_->head_done()
                                 ? "the request's body took longer than limits.body_timeout (" +
                                       to_string(context_.limits.body_timeout) + ")"
                                 : "the request's head took longer than limits.header_timeout (" +
                                       to_string(context_.limits.header_timeout) + ")");
    }
    std::string message(parser_->refusal_text());
    switch (*parser_->refusal()) {
        case Refusal::head_too_large:
            message +=
                ": at most " + to_string(context_.limits.header) + "; limits.header raises it";
            break;
        case Refusal::body_too_large:
            message += ": at most " + to_string(context_.limits.body) + "; limits.body raises it";
            break;
        case Refusal::no_room_for_body:
        case Refusal::malformed:
        case Refusal::foreign_origin:
        case Refusal::unknown_path:
        case Refusal::wrong_method:
        case Refusal::too_slow:
        case Refusal::unsupported_encoding:
        case Refusal::unknown_transfer:
        case Refusal::too_many_connections:
        case Refusal::unknown_answer:
        case Refusal::judged_enough:
            break;
    }
    return refusal_reply(dialect, *parser_->refusal(), message);
}

Reply Session::refused_by_crowd() const {
    Reply refused = refusal_reply(
        dialect_of(head_.path),
        Refusal::no_room_for_body,
        "the requests that are here take all memory that limits.bodies (" +
            to_string(context_.limits.bodies) + ") allows for their bodies; try again later");
    refused.headers = "Retry-After: 1\r\n";
    return refused;
}

Task<> Session::linger() {
    // Closing with unread input makes the kernel send a reset, which can overtake the reply.
    client_.shut_down_sending();
    deadline_.set(Waiting::farewell, kLinger);
    bool more = true;
    while (more) {
        client_.consume(client_.input().size());
        more = co_await client_.more(kLargeReadSize);
    }
    deadline_.clear();
}

}  // namespace drover::gateway

#include "gateway/error_reply.hpp"

#include <cstddef>

#include <boost/beast/http/status.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "base/assert.hpp"

namespace drover::gateway {

namespace json = boost::json;

// Types and codes are those that the vendors' client libraries map to exception classes; the
// classes follow from the status. 408, 409, 429 and 5xx are repeated by those libraries on their
// own, which is why `repeatable` is sent along (x-should-retry).
const ErrorRow& error_row(ErrorCode code) {
    static constexpr ErrorRow kInvalid{
        400, "invalid_request_error", "invalid_request", "invalid_request_error", false};
    static constexpr ErrorRow kUnauthorized{
        401, "invalid_request_error", "invalid_api_key", "authentication_error", false};
    static constexpr ErrorRow kNotFound{
        404, "invalid_request_error", "model_not_found", "not_found_error", false};
    static constexpr ErrorRow kTooLarge{
        413, "invalid_request_error", "request_too_large", "request_too_large", false};
    static constexpr ErrorRow kOverloaded{
        429, "rate_limit_error", "overloaded", "rate_limit_error", true};
    static constexpr ErrorRow kMemory{
        507, "server_error", "insufficient_memory", "api_error", false};
    static constexpr ErrorRow kUnavailable{
        503, "server_error", "unavailable", "overloaded_error", true};
    static constexpr ErrorRow kTimeout{504, "server_error", "timeout", "timeout_error", true};
    static constexpr ErrorRow kCancelled{
        499, "invalid_request_error", "cancelled", "invalid_request_error", false};
    static constexpr ErrorRow kEngine{502, "server_error", "engine_failed", "api_error", true};
    static constexpr ErrorRow kIo{500, "server_error", "io_error", "api_error", false};
    static constexpr ErrorRow kInternal{500, "server_error", "internal_error", "api_error", false};
    switch (code) {
        case ErrorCode::invalid_argument:
            return kInvalid;
        case ErrorCode::unauthorized:
            return kUnauthorized;
        case ErrorCode::not_found:
            return kNotFound;
        case ErrorCode::too_large:
            return kTooLarge;
        case ErrorCode::overloaded:
            return kOverloaded;
        case ErrorCode::insufficient_memory:
            return kMemory;
        case ErrorCode::unavailable:
            return kUnavailable;
        case ErrorCode::timeout:
            return kTimeout;
        case ErrorCode::cancelled:
            return kCancelled;
        case ErrorCode::engine_failed:
            return kEngine;
        case ErrorCode::io_error:
            return kIo;
        case ErrorCode::internal:
            return kInternal;
    }
    DROVER_UNREACHABLE();
}

const ErrorRow& error_row(Refusal refusal) {
    static constexpr ErrorRow kMalformed{
        400, "invalid_request_error", "malformed_request", "invalid_request_error", false};
    static constexpr ErrorRow kOrigin{
        403, "invalid_request_error", "foreign_origin", "permission_error", false};
    static constexpr ErrorRow kPath{
        404, "invalid_request_error", "unknown_url", "not_found_error", false};
    static constexpr ErrorRow kMethod{
        405, "invalid_request_error", "method_not_allowed", "invalid_request_error", false};
    static constexpr ErrorRow kSlow{
        408, "invalid_request_error", "request_timeout", "invalid_request_error", true};
    static constexpr ErrorRow kBody{
        413, "invalid_request_error", "request_too_large", "request_too_large", false};
    static constexpr ErrorRow kEncoding{
        415, "invalid_request_error", "unsupported_encoding", "invalid_request_error", false};
    static constexpr ErrorRow kHead{
        431, "invalid_request_error", "head_too_large", "invalid_request_error", false};
    static constexpr ErrorRow kTransfer{
        501, "invalid_request_error", "unknown_transfer_encoding", "invalid_request_error", false};
    static constexpr ErrorRow kConnections{
        503, "server_error", "too_many_connections", "overloaded_error", true};
    static constexpr ErrorRow kBodies{
        503, "server_error", "too_many_bodies", "overloaded_error", true};
    static constexpr ErrorRow kAnswer{
        404, "invalid_request_error", "answer_not_found", "not_found_error", false};
    static constexpr ErrorRow kJudged{
        409, "invalid_request_error", "judged_enough", "invalid_request_error", false};
    switch (refusal) {
        case Refusal::malformed:
            return kMalformed;
        case Refusal::foreign_origin:
            return kOrigin;
        case Refusal::unknown_path:
            return kPath;
        case Refusal::wrong_method:
            return kMethod;
        case Refusal::too_slow:
            return kSlow;
        case Refusal::body_too_large:
            return kBody;
        case Refusal::no_room_for_body:
            return kBodies;
        case Refusal::unsupported_encoding:
            return kEncoding;
        case Refusal::head_too_large:
            return kHead;
        case Refusal::unknown_transfer:
            return kTransfer;
        case Refusal::too_many_connections:
            return kConnections;
        case Refusal::unknown_answer:
            return kAnswer;
        case Refusal::judged_enough:
            return kJudged;
    }
    DROVER_UNREACHABLE();
}

std::string error_body(Dialect dialect,
                       const ErrorRow& row,
                       std::string_view message,
                       std::string_view param) {
    const std::string text = valid_utf8(message);
    switch (dialect) {
        case Dialect::openai: {
            json::object error;
            error["message"] = text;
            error["type"] = row.openai_type;
            error["param"] = param.empty() ? json::value(nullptr) : json::value(param);
            error["code"] = row.openai_code;
            return json::serialize(json::object{{"error", std::move(error)}});
        }
        case Dialect::anthropic: {
            json::object error;
            error["type"] = row.anthropic_type;
            error["message"] = text;
            return json::serialize(json::object{{"type", "error"}, {"error", std::move(error)}});
        }
        case Dialect::ollama:
            return json::serialize(json::object{{"error", text}});
    }
    DROVER_UNREACHABLE();
}

std::string error_event(Dialect dialect, const ErrorRow& row, std::string_view message) {
    // OpenAI's libraries raise APIError for any event whose data has a member "error"; Anthropic's
    // go by the event's name.
    const std::string_view name = dialect == Dialect::anthropic ? "event: error\n" : "";
    return std::string(name) + "data: " + error_body(dialect, row, message) + "\n\n";
}

namespace {

/// Length of the valid UTF-8 sequence at the start of `text`, 0 when there is none.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) {
        return static_cast<unsigned char>(text[i]);
    };
    const unsigned char lead = byte(0);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length < 2 || text.size() < length) {
        return length < 2 ? length : 0;
    }
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xC0U) != 0x80U) {
            return 0;
        }
    }
    const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool surrogate = lead == 0xED && byte(1) >= 0xA0;
    const bool beyond = lead == 0xF4 && byte(1) >= 0x90;
    return overlong || surrogate || beyond ? 0 : length;
}

}  // namespace

std::string valid_utf8(std::string_view text) {
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        const std::size_t length = sequence_length(text);
        valid += length == 0 ? std::string_view("?") : text.substr(0, length);
        text.remove_prefix(length == 0 ? 1 : length);
    }
    return valid;
}

void append_header_value(std::string& header, std::string_view value) {
    for (const char c : value) {
        header += static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? '?' : c;
    }
}

std::string_view reason_phrase(unsigned status) {
    if (status == 499) {
        return "Client Closed Request";
    }
    const auto known = boost::beast::http::int_to_status(status);
    if (known == boost::beast::http::status::unknown) {
        return "Status";
    }
    const auto phrase = boost::beast::http::obsolete_reason(known);
    return {phrase.data(), phrase.size()};
}

}  // namespace drover::gateway

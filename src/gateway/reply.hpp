// A response of Drover's own. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "gateway/dialect.hpp"
#include "gateway/error_reply.hpp"

namespace drover::gateway {

struct Reply {
    unsigned status = 200;
    std::string body{};
    std::string_view content_type = "application/json";
    std::string headers{};  ///< further lines, each with its CRLF
};

/// What the client is told of `error`.
inline Reply error_reply(Dialect dialect, const Error& error) {
    const ErrorRow& row = error_row(error.code);
    const bool queue_full = error.code == ErrorCode::overloaded;
    Reply reply{
        .status = row.status,
        .body = error_body(
            dialect, row, error.message, error.code == ErrorCode::not_found ? "model" : "")};
    if (dialect == Dialect::ollama && queue_full) {
        // Its clients know this status and these words, two spaces included.
        reply.status = 503;
        reply.body = error_body(
            dialect, row, "server busy, please try again.  maximum pending requests exceeded");
    }
    if (error.retry_after.has_value()) {
        reply.headers += "Retry-After: " + std::to_string(error.retry_after->count()) + "\r\n";
    }
    if (row.status >= 500 && !row.repeatable) {
        // Client libraries repeat every 5xx unless told that it is of no use.
        reply.headers += "x-should-retry: false\r\n";
    }
    return reply;
}

/// What the client is told of a request that is wrong as HTTP.
inline Reply refusal_reply(Dialect dialect,
                           Refusal refusal,
                           std::string_view message,
                           std::string_view param = {}) {
    const ErrorRow& row = error_row(refusal);
    return {.status = row.status, .body = error_body(dialect, row, message, param)};
}

}  // namespace drover::gateway

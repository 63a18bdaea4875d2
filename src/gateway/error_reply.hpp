// What a client is told when a request fails: the only place that knows HTTP statuses. Pure; any
// thread.
#pragma once

#include <string>
#include <string_view>

#include <boost/json/string.hpp>

#include "base/error.hpp"
#include "gateway/dialect.hpp"

namespace drover::gateway {

/// What is wrong with a request, whatever the models: as HTTP, or with what it is about.
enum class Refusal {
    malformed,       ///< not HTTP, or ambiguous HTTP
    foreign_origin,  ///< a web page of another origin, or a rebound host name
    unknown_path,
    wrong_method,
    too_slow,  ///< the client did not send the request in time
    body_too_large,
    no_room_for_body,      ///< others' bodies take it all
    unsupported_encoding,  ///< a compressed body
    head_too_large,
    unknown_transfer,  ///< a Transfer-Encoding other than chunked
    too_many_connections,
    unknown_answer,  ///< feedback on one that nobody knows
    judged_enough,   ///< feedback on one that has had its share
};

/// One row of the table: how a failure looks from outside.
struct ErrorRow {
    unsigned status;
    std::string_view openai_type;
    std::string_view openai_code;
    std::string_view anthropic_type;
    bool repeatable;  ///< the same request may succeed later: client libraries may retry it
};

const ErrorRow& error_row(ErrorCode code);
const ErrorRow& error_row(Refusal refusal);

/// The JSON body in the dialect's shape. `message` need not be valid UTF-8; `param` is OpenAI's
/// name of the offending field, empty for none.
std::string error_body(Dialect dialect,
                       const ErrorRow& row,
                       std::string_view message,
                       std::string_view param = {});

/// The same as a server-sent event, for a failure after the first streamed byte.
std::string error_event(Dialect dialect, const ErrorRow& row, std::string_view message);

/// `text` with every byte that is not part of valid UTF-8 replaced by '?'.
std::string valid_utf8(std::string_view text);

/// The same for JSON.
inline boost::json::string json_text(std::string_view text) {
    return boost::json::string(valid_utf8(text));
}

/// Appends `value` to a header: a model may be named after a file, and a file's name may be
/// anything.
void append_header_value(std::string& header, std::string_view value);

/// "Not Found" for 404; "Status" for one that nobody knows.
std::string_view reason_phrase(unsigned status);

}  // namespace drover::gateway

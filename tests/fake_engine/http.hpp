// As much of HTTP/1.1 as an engine needs, quickly: requests out of a byte buffer, answers into one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace drover::fake {

/// A request as views into the buffer it was parsed from.
struct Request {
    std::string_view method;
    std::string_view path;  ///< without query
    std::string_view query;
    std::string_view fake;  ///< the header x-fake
    std::string_view authorization;
    std::string_view content_type;
    std::string_view body;
    bool keep_alive = true;
    bool expects_continue = false;
    std::string decoded_body;  ///< backs `body` when it came in chunks
};

enum class ParseState {
    incomplete,
    complete,
    bad
};

struct ParseResult {
    ParseState state = ParseState::incomplete;
    std::size_t length = 0;      ///< of the whole request, when complete
    bool send_continue = false;  ///< incomplete: the client waits for "100 Continue"
};

/// Parses the request at the beginning of `buffer`.
ParseResult parse_request(std::string_view buffer, Request& request);

/// Appends the head of an answer with a body of `length` bytes.
void append_head(std::string& out, int status, std::string_view type, std::size_t length);

/// Appends the head of a chunked answer.
void append_stream_head(std::string& out);

/// Appends one chunk; an empty one ends the body.
void append_chunk(std::string& out, std::string_view data);

/// `text` as a JSON string, with quotes.
std::string json_string(std::string_view text);

/// The number, string or literal that a key (given with its quotes) has in a JSON object, found
/// without parsing the rest; a string without its quotes and with its escapes. Empty when there is
/// none. Good enough for a fake.
std::string_view json_field(std::string_view json, std::string_view quoted_key);

}  // namespace drover::fake

#include "gateway/model_rewrite.hpp"

#include <algorithm>
#include <cstddef>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <boost/json/value.hpp>

#include "gateway/error_reply.hpp"
#include "gateway/multipart.hpp"

namespace drover::gateway {

namespace json = boost::json;

namespace {

/// Where a string ends that begins at `at` with its quote; one past the closing quote.
std::size_t end_of_string(std::string_view body, std::size_t at) {
    for (++at; at < body.size() && body[at] != '"'; ++at) {
        at += body[at] == '\\' ? 1 : 0;
    }
    return std::min(at + 1, body.size());
}

bool is_model(std::string_view quoted) {
    if (quoted.find('\\') == std::string_view::npos) {
        return quoted == "\"model\"";
    }
    json::error_code error;
    const json::value key = json::parse(quoted, error);
    return !error && key.is_string() && key.get_string() == "model";
}

}  // namespace

std::optional<std::string> with_model(std::string_view body, std::string_view model) {
    std::size_t begin = 0;
    std::size_t end = 0;
    int depth = 0;
    bool key_next = false;
    bool ours = false;
    for (std::size_t at = 0; at < body.size();) {
        const char c = body[at];
        if (c == '"') {
            const std::size_t after = end_of_string(body, at);
            if (depth == 1 && key_next) {
                ours = is_model(body.substr(at, after - at));
            } else if (depth == 1 && ours) {
                begin = at;
                end = after;
            }
            at = after;
            continue;
        }
        depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
        if (depth == 1 && (c == '{' || c == ',')) {
            key_next = true;
        } else if (depth == 1 && c == ':') {
            key_next = false;
        }
        ++at;
    }
    if (end == 0) {
        return std::nullopt;
    }
    std::string rewritten(body.substr(0, begin));
    rewritten += json::serialize(json::string(valid_utf8(model)));
    rewritten += body.substr(end);
    return rewritten;
}

std::optional<std::string> with_model_in_form(std::string_view content_type,
                                              std::string_view body,
                                              std::string_view model) {
    auto rewritten = with_multipart_field(content_type, body, "model", model);
    return rewritten.ok() ? std::optional(*std::move(rewritten)) : std::nullopt;
}

}  // namespace drover::gateway

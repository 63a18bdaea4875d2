// One request as it came in. Plain values.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace drover::gateway {

enum class Method {
    get,
    head,
    post,
    remove,  ///< DELETE
    options,
    other
};

/// The head's parts that matter. What is not here goes nowhere: requests are passed on with a head
/// of our own, so that no header of a client (credentials, X-Conversation-Id, which would keep the
/// engine generating after the client left, hop-by-hop headers) reaches an engine.
struct RequestHead {
    Method method = Method::other;
    std::string method_name;
    std::string path;   ///< without the query; always begins with '/', or is "*"
    std::string query;  ///< without the '?'
    std::string host;
    std::string origin;
    std::string content_type;
    std::string accept;
    std::string content_encoding;
    std::string expect;
    bool http11 = true;
    bool keep_alive = true;
    bool anthropic = false;   ///< from a client of Anthropic: it says which version of its API
    bool local_only = false;  ///< x-drover-local-only: no remote model may see it
    /// Those that routes look at; names in lower case.
    std::vector<std::pair<std::string, std::string>> kept;

    /// Back to the beginning; keeps the memory.
    void clear() {
        method = Method::other;
        for (std::string* text : {&method_name,
                                  &path,
                                  &query,
                                  &host,
                                  &origin,
                                  &content_type,
                                  &accept,
                                  &content_encoding,
                                  &expect}) {
            text->clear();
        }
        http11 = true;
        keep_alive = true;
        anthropic = false;
        local_only = false;
        kept.clear();
    }
};

/// The value of `name` in a query such as "model=smol&x=1", percent-decoded; empty when it is not
/// there.
std::string query_value(std::string_view query, std::string_view name);

/// "%2F" -> "/"; a malformed escape stays as it is.
std::string percent_decoded(std::string_view text);

}  // namespace drover::gateway

#include "gateway/request_parser.hpp"

#include <boost/beast/http/error.hpp>

#include "base/text.hpp"

namespace drover::gateway {

namespace http = boost::beast::http;

namespace {

std::string_view view(boost::beast::string_view text) {
    return {text.data(), text.size()};
}

Method method_of(http::verb verb) {
    switch (verb) {
        case http::verb::get:
            return Method::get;
        case http::verb::head:
            return Method::head;
        case http::verb::post:
            return Method::post;
        case http::verb::delete_:
            return Method::remove;
        case http::verb::options:
            return Method::options;
        default:  // Beast's enum, not ours
            return Method::other;
    }
}

}  // namespace

RequestParser::RequestParser(Limits limits,
                             RequestHead& head,
                             BodySink& body,
                             std::span<const std::string> kept)
    : limits_(limits), head_(head), body_(body), kept_(kept) {
    header_limit(static_cast<std::uint32_t>(limits.head));
    body_limit(limits.body);
    head_.clear();
}

std::size_t RequestParser::put(std::string_view input) {
    if (done() || refusal_.has_value()) {
        return 0;
    }
    const bool in_head = !head_done();
    eager(!in_head);  // stop after the head
    Code code;
    const std::size_t used =
        basic_parser::put(boost::asio::buffer(input.data(), input.size()), code);
    if (in_head) {
        // Beast bounds one line at a time; whoever sends endless short ones is bounded here.
        head_bytes_ += used;
    }
    const std::size_t unread = input.size() - used;
    if ((in_head && head_bytes_ > limits_.head) ||
        (code == http::error::need_more && unread >= limits_.head)) {
        code = http::error::header_limit;
    }
    if (code && code != http::error::need_more) {
        refuse_for(code);
    }
    return used;
}

std::optional<std::uint64_t> RequestParser::content_length() const {
    const auto length = basic_parser::content_length();
    return length.has_value() ? std::optional<std::uint64_t>(*length) : std::nullopt;
}

void RequestParser::refuse(Refusal refusal, std::string_view text, Code& code) {
    refusal_ = refusal;
    refusal_text_ = text;
    code = http::error::bad_value;  // stops the parser; the reason is kept here
}

void RequestParser::refuse_for(const Code& code) {
    if (refusal_.has_value()) {
        return;
    }
    if (code == http::error::header_limit) {
        refusal_ = Refusal::head_too_large;
        refusal_text_ = "the request's head is too large";
    } else if (code == http::error::body_limit) {
        refusal_ = Refusal::body_too_large;
        refusal_text_ = "the request's body is too large";
    } else {
        refusal_ = Refusal::malformed;
        refusal_text_ = "this is not a valid HTTP/1.1 request";
    }
}

void RequestParser::on_request_impl(Verb verb, View name, View target, int version, Code& code) {
    head_.method = method_of(verb);
    head_.method_name.assign(name.data(), name.size());
    head_.http11 = version == 11;
    take_target(view(target), code);
    if (limits_.unbounded != nullptr && limits_.unbounded(head_.path, head_.method)) {
        body_limit(boost::none);
    }
}

void RequestParser::take_target(std::string_view target, Code& code) {
    // A client that takes us for a proxy sends the whole URL.
    constexpr std::string_view kScheme = "http://";
    if (target.starts_with(kScheme)) {
        target.remove_prefix(kScheme.size());
        target.remove_prefix(std::min(target.find('/'), target.size()));
        target = target.empty() ? "/" : target;
    }
    if (!target.starts_with('/') && target != "*") {
        refuse(Refusal::malformed, "the request's target is not a path", code);
        return;
    }
    const std::size_t path_end = std::min(target.find_first_of("?#"), target.size());
    head_.path = target.substr(0, path_end);
    if (path_end < target.size() && target[path_end] == '?') {
        const std::string_view query = target.substr(path_end + 1);
        head_.query = query.substr(0, query.find('#'));
    }
}

void RequestParser::on_field_impl(Field field, View name, View value, Code& code) {
    if (head_done()) {
        return;  // a trailer; nothing of ours may be in it
    }
    const std::string_view text = view(value);
    for (const std::string& kept : kept_) {
        if (equals_ignoring_case(view(name), kept)) {
            head_.kept.emplace_back(kept, text);
        }
    }
    switch (field) {
        case Field::host:
            if (!head_.host.empty()) {
                refuse(Refusal::malformed, "the request has two Host headers", code);
                return;
            }
            head_.host = text;
            return;
        case Field::transfer_encoding:
            // What Beast does not know it ignores, and a proxy that reads the body by another rule
            // than the server behind it lets requests be smuggled past it.
            if (!head_.http11 || !equals_ignoring_case(text, "chunked")) {
                refuse(Refusal::unknown_transfer,
                       "the only Transfer-Encoding understood is \"chunked\", in HTTP/1.1",
                       code);
            }
            return;
        case Field::origin:
            head_.origin = text;
            return;
        case Field::content_type:
            head_.content_type = text;
            return;
        case Field::accept:
            head_.accept = text;
            return;
        case Field::content_encoding:
            head_.content_encoding = text;
            return;
        case Field::expect:
            head_.expect = text;
            return;
        default:  // Beast's enum, not ours
            head_.anthropic =
                head_.anthropic || equals_ignoring_case(view(name), "anthropic-version");
            // Whatever is not clearly "no" is "yes": a typing error must not send anything away.
            head_.local_only =
                head_.local_only || (equals_ignoring_case(view(name), "x-drover-local-only") &&
                                     text != "0" && !equals_ignoring_case(text, "false"));
            return;
    }
}

void RequestParser::on_header_impl(Code& code) {
    head_.keep_alive = keep_alive();
    if (head_.http11 && head_.host.empty()) {
        refuse(Refusal::malformed, "the request has no Host header", code);
    }
}

std::size_t RequestParser::on_body_impl(View piece, Code&) {
    body_.on_body(view(piece));
    return piece.size();
}

std::size_t RequestParser::on_chunk_body_impl(std::uint64_t, View piece, Code&) {
    body_.on_body(view(piece));
    return piece.size();
}

}  // namespace drover::gateway

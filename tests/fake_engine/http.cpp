#include "http.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <cstring>

#include <strings.h>

namespace drover::fake {

namespace {

constexpr std::size_t kHeadMax = 1024UL * 1024;
constexpr std::size_t kBodyMax = 1024UL * 1024 * 1024;

bool same(std::string_view a, std::string_view b) {
    return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

struct Framing {
    std::size_t length = 0;
    bool chunked = false;
    bool bad = false;
};

void read_header(std::string_view line, Request& request, Framing& framing) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        framing.bad = true;
        return;
    }
    const std::string_view name = line.substr(0, colon);
    const auto value = [&] {
        return trimmed(line.substr(colon + 1));
    };
    if (same(name, "content-length")) {
        const std::string_view text = value();
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), framing.length);
        framing.bad = framing.bad || error != std::errc() || framing.length > kBodyMax;
    } else if (same(name, "transfer-encoding")) {
        framing.chunked = same(value(), "chunked");
    } else if (same(name, "connection")) {
        request.keep_alive =
            same(value(), "close") ? false : request.keep_alive || same(value(), "keep-alive");
    } else if (same(name, "expect")) {
        request.expects_continue = same(value(), "100-continue");
    } else if (same(name, "x-fake")) {
        request.fake = value();
    } else if (same(name, "authorization")) {
        request.authorization = value();
    } else if (same(name, "content-type")) {
        request.content_type = value();
    }
}

/// Decodes a chunked body; `length` gets the number of encoded bytes.
ParseState decode_chunks(std::string_view encoded, std::string& decoded, std::size_t& length) {
    std::size_t at = 0;
    while (true) {
        const std::size_t line_end = encoded.find("\r\n", at);
        if (line_end == std::string_view::npos) {
            return encoded.size() - at > kHeadMax ? ParseState::bad : ParseState::incomplete;
        }
        std::size_t size = 0;
        const auto [end, error] =
            std::from_chars(encoded.data() + at, encoded.data() + line_end, size, 16);
        if (error != std::errc() || size > kBodyMax) {
            return ParseState::bad;
        }
        at = line_end + 2;
        if (encoded.size() < at + size + 2) {
            return ParseState::incomplete;
        }
        decoded += encoded.substr(at, size);
        at += size + 2;
        if (size == 0) {
            length = at;
            return ParseState::complete;
        }
    }
}

bool read_request_line(std::string_view line, Request& request) {
    const std::size_t first = line.find(' ');
    const std::size_t second = line.rfind(' ');
    if (first == std::string_view::npos || second <= first) {
        return false;
    }
    request.method = line.substr(0, first);
    request.path = line.substr(first + 1, second - first - 1);
    const std::size_t question = std::min(request.path.find('?'), request.path.size());
    request.query = request.path.substr(question);
    request.path = request.path.substr(0, question);
    request.keep_alive = line.substr(second + 1) == "HTTP/1.1";
    return line.substr(second + 1, 5) == "HTTP/";
}

std::string_view reason(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 500:
            return "Internal Server Error";
        case 503:
            return "Service Unavailable";
        default:
            return "Fake";
    }
}

}  // namespace

ParseResult parse_request(std::string_view buffer, Request& request) {
    const std::size_t head_end = buffer.find("\r\n\r\n");
    if (head_end == std::string_view::npos) {
        return {.state = buffer.size() > kHeadMax ? ParseState::bad : ParseState::incomplete};
    }
    std::string_view head = buffer.substr(0, head_end + 2);
    Framing framing;
    const std::size_t line_end = head.find("\r\n");
    if (!read_request_line(head.substr(0, line_end), request)) {
        return {.state = ParseState::bad};
    }
    head.remove_prefix(line_end + 2);
    while (!head.empty()) {
        const std::size_t end = head.find("\r\n");
        read_header(head.substr(0, end), request, framing);
        head.remove_prefix(end + 2);
    }
    if (framing.bad) {
        return {.state = ParseState::bad};
    }
    const std::string_view rest = buffer.substr(head_end + 4);
    ParseResult result{.state = ParseState::complete, .length = head_end + 4 + framing.length};
    if (framing.chunked) {
        std::size_t encoded = 0;
        result.state = decode_chunks(rest, request.decoded_body, encoded);
        result.length = head_end + 4 + encoded;
        request.body = request.decoded_body;
    } else if (rest.size() < framing.length) {
        result.state = ParseState::incomplete;
    } else {
        request.body = rest.substr(0, framing.length);
    }
    result.send_continue =
        result.state == ParseState::incomplete && request.expects_continue && rest.empty();
    return result;
}

void append_head(std::string& out, int status, std::string_view type, std::size_t length) {
    out += "HTTP/1.1 ";
    out += std::to_string(status);
    out += ' ';
    out += reason(status);
    out += "\r\nServer: llama.cpp\r\nContent-Type: ";
    out += type;
    out += "\r\nContent-Length: ";
    out += std::to_string(length);
    out += "\r\n\r\n";
}

void append_stream_head(std::string& out) {
    out +=
        "HTTP/1.1 200 OK\r\nServer: llama.cpp\r\nContent-Type: text/event-stream\r\n"
        "Transfer-Encoding: chunked\r\n\r\n";
}

void append_chunk(std::string& out, std::string_view data) {
    std::array<char, 16> size{};
    const auto [end, error] =
        std::to_chars(size.data(), size.data() + size.size(), data.size(), 16);
    out.append(size.data(), end);
    out += "\r\n";
    out += data;
    out += "\r\n";
}

std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            std::array<char, 8> code{};
            std::snprintf(code.data(), code.size(), "\\u%04x", static_cast<unsigned>(c));
            out += code.data();
        } else {
            out += c;
        }
    }
    return out + '"';
}

std::string_view json_field(std::string_view json, std::string_view quoted_key) {
    // memmem and not find(): this runs several times over each body.
    const auto find_key = [&](std::size_t from) {
        const void* found =
            ::memmem(json.data() + from, json.size() - from, quoted_key.data(), quoted_key.size());
        return found == nullptr
                   ? std::string_view::npos
                   : static_cast<std::size_t>(static_cast<const char*>(found) - json.data());
    };
    for (std::size_t at = find_key(0); at != std::string_view::npos; at = find_key(at + 1)) {
        const std::size_t colon = json.find_first_not_of(" \t\r\n", at + quoted_key.size());
        if (colon == std::string_view::npos || json[colon] != ':') {
            continue;
        }
        const std::size_t begin = json.find_first_not_of(" \t\r\n", colon + 1);
        if (begin == std::string_view::npos) {
            return {};
        }
        if (json[begin] != '"') {
            const std::size_t end = std::min(json.find_first_of(",}] \r\n", begin), json.size());
            return json.substr(begin, end - begin);
        }
        std::size_t end = begin + 1;
        while (end < json.size() && json[end] != '"') {
            end += json[end] == '\\' ? 2 : 1;
        }
        return json.substr(begin + 1, std::min(end, json.size()) - begin - 1);
    }
    return {};
}

}  // namespace drover::fake

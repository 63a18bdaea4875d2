#include "engines/last_words.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace drover::engines {

namespace {

constexpr std::size_t kLineMax = 400;          ///< longer lines are cut: they are not for people
constexpr std::size_t kLinesMax = 4;           ///< an engine's error and its context
constexpr std::size_t kTailMax = 16UL * 1024;  ///< enough for those lines and a traceback before
constexpr std::string_view kLineEnds = "\n\r";

unsigned char byte_at(std::string_view text, std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : '\0';
}

/// The length of the character at the beginning of `text` when it is valid UTF-8 of two to four
/// bytes and no control character; 0 otherwise.
std::size_t multibyte_length(std::string_view text) {
    const unsigned char lead = byte_at(text, 0);
    const unsigned char second = byte_at(text, 1);
    std::size_t length = 0;
    // The second byte's range keeps out overlong forms, surrogates, and C1 controls.
    unsigned char low = 0x80;
    unsigned char high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        length = 2;
        low = lead == 0xc2 ? 0xa0 : 0x80;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        length = 3;
        low = lead == 0xe0 ? 0xa0 : 0x80;
        high = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        length = 4;
        low = lead == 0xf0 ? 0x90 : 0x80;
        high = lead == 0xf4 ? 0x8f : 0xbf;
    }
    if (length == 0 || second < low || second > high) {
        return 0;
    }
    for (std::size_t i = 2; i < length; ++i) {
        if ((byte_at(text, i) & 0xc0U) != 0x80) {
            return 0;
        }
    }
    return length;
}

/// The length of the terminal escape at the beginning of `text` ("\e[31m"), or 0.
std::size_t escape_length(std::string_view text) {
    if (byte_at(text, 0) != 0x1b || byte_at(text, 1) != '[') {
        return 0;
    }
    std::size_t end = 2;
    while (byte_at(text, end) >= 0x20 && byte_at(text, end) <= 0x3f) {
        ++end;
    }
    return std::min(end + 1, text.size());
}

/// "ModuleNotFoundError: ", wherever in a line.
bool names_an_error(std::string_view line) {
    return line.find("Error: ") != std::string_view::npos ||
           line.find("Exception: ") != std::string_view::npos;
}

/// The last line of `text` that names an error, without its end; empty: none does.
std::string_view last_error_in(std::string_view text) {
    while (!text.empty()) {
        const std::size_t end = text.find_last_of(kLineEnds);
        const std::size_t begin = end == std::string_view::npos ? 0 : end + 1;
        if (names_an_error(text.substr(begin))) {
            return text.substr(begin);
        }
        text = text.substr(0, begin == 0 ? 0 : end);
    }
    return {};
}

}  // namespace

std::string printable(std::string_view text, std::size_t max) {
    std::string out;
    while (!text.empty()) {
        if (out.size() >= max) {
            return out + "...";
        }
        const unsigned char byte = byte_at(text, 0);
        std::size_t length = 1;
        if ((byte >= 0x20 && byte < 0x7f) || byte == '\t') {
            out += byte == '\t' ? ' ' : text[0];
        } else if (const std::size_t escape = escape_length(text); escape != 0) {
            length = escape;
        } else if (const std::size_t character = multibyte_length(text); character != 0) {
            out += text.substr(0, character);
            length = character;
        } else {
            out += '?';
        }
        text.remove_prefix(length);
    }
    return out;
}

void LastWords::add(std::string_view piece) {
    tail_ += piece.substr(piece.size() - std::min(piece.size(), kTailMax));
    cut_ = cut_ || piece.size() > kTailMax;
    if (tail_.size() >= 2 * kTailMax) {
        tail_.erase(0, tail_.size() - kTailMax);
        cut_ = true;
    }
}

std::string LastWords::text() const {
    std::vector<std::string> lines;  // the last one first
    std::string_view left = tail_;
    while (!left.empty() && lines.size() < kLinesMax) {
        const std::size_t end = left.find_last_of(kLineEnds);
        const std::size_t begin = end == std::string_view::npos ? 0 : end + 1;
        const bool partial = begin == 0 && cut_ && !lines.empty();
        if (begin < left.size() && !partial) {
            lines.push_back(printable(left.substr(begin), kLineMax));
        }
        left = left.substr(0, begin == 0 ? 0 : end);
    }
    std::string text;
    // What failed may have been told by another process long before the last one gave up.
    if (const std::string_view cause = last_error_in(left); !cause.empty()) {
        text = printable(cause, kLineMax) + " | ...";
    }
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
        text += (text.empty() ? "" : " | ") + *line;
    }
    return text;
}

std::vector<std::string> OutputLines::add(std::string_view piece) {
    std::vector<std::string> finished;
    while (!piece.empty()) {
        const std::size_t end = piece.find_first_of(kLineEnds);
        // One byte more than is shown, so that a cut line is marked as such.
        current_ +=
            piece.substr(0, std::min(end, kLineMax + 1 - std::min(current_.size(), kLineMax + 1)));
        if (end == std::string_view::npos) {
            break;
        }
        if (!current_.empty()) {
            finished.push_back(printable(std::exchange(current_, {}), kLineMax));
        }
        piece.remove_prefix(end + 1);
    }
    return finished;
}

}  // namespace drover::engines

#include "engines/last_words.hpp"

#include <utility>

namespace drover::engines {

namespace {

constexpr std::size_t kLineMax = 400;  ///< longer lines are cut: they are not for people
constexpr std::size_t kLinesMax = 4;   ///< an engine's error and its context

}  // namespace

std::vector<std::string> LastWords::add(std::string_view piece) {
    std::vector<std::string> finished;
    for (const char c : piece) {
        if (c == '\n' || c == '\r') {
            finish_line(finished);
        } else if (current_.size() < kLineMax) {
            const auto byte = static_cast<unsigned char>(c);
            current_ += byte >= 0x20 && byte < 0x7f ? c : '?';
        }
    }
    return finished;
}

void LastWords::finish_line(std::vector<std::string>& finished) {
    if (current_.empty()) {
        return;
    }
    finished.push_back(current_);
    lines_.push_back(std::exchange(current_, {}));
    if (lines_.size() > kLinesMax) {
        lines_.pop_front();
    }
}

std::string LastWords::text() const {
    std::string text;
    const auto append = [&text](const std::string& line) {
        text += text.empty() ? line : " | " + line;
    };
    for (const std::string& line : lines_) {
        append(line);
    }
    if (!current_.empty()) {
        append(current_);
    }
    return text;
}

}  // namespace drover::engines

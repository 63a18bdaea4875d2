#include "config/command_line.hpp"

#include <utility>

namespace drover::config {

namespace {

bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/// Takes the words off a text, one character at a time.
class Splitter {
  public:
    explicit Splitter(std::string_view text) : text_(text) {}

    Result<std::vector<std::string>> run() {
        while (at_ < text_.size()) {
            const char c = text_[at_++];
            if (is_blank(c)) {
                end_word();
            } else if (c == '\'' || c == '"') {
                begun_ = true;
                if (!take_quoted(c)) {
                    return Error{ErrorCode::invalid_argument,
                                 std::string("a ") + c + " is not closed"};
                }
            } else if (c == '\\' && at_ < text_.size()) {
                take_escaped();
            } else {
                begun_ = true;
                word_ += c;
            }
        }
        end_word();
        return std::move(words_);
    }

  private:
    /// What follows a backslash outside of quotes.
    void take_escaped() {
        if (text_.substr(at_, 2) == "\r\n") {
            at_ += 2;
        } else if (text_[at_] == '\n') {
            ++at_;
        } else {
            begun_ = true;
            word_ += text_[at_++];
        }
    }

    /// Up to the closing quote; false when there is none. In double quotes a backslash protects
    /// itself and the quote, and stands for itself before anything else.
    bool take_quoted(char quote) {
        while (at_ < text_.size()) {
            char c = text_[at_++];
            if (c == quote) {
                return true;
            }
            const bool escapes = quote == '"' && c == '\\' && at_ < text_.size() &&
                                 (text_[at_] == '"' || text_[at_] == '\\');
            if (escapes) {
                c = text_[at_++];
            }
            word_ += c;
        }
        return false;
    }

    void end_word() {
        if (std::exchange(begun_, false)) {
            words_.push_back(std::exchange(word_, {}));
        }
    }

    std::string_view text_;
    std::size_t at_ = 0;
    bool begun_ = false;  ///< an empty pair of quotes is a word, too
    std::string word_;
    std::vector<std::string> words_;
};

}  // namespace

Result<std::vector<std::string>> split_command(std::string_view text) {
    return Splitter(text).run();
}

}  // namespace drover::config

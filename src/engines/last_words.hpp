// What a process printed, bounded and made harmless. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drover::engines {

/// `text` as one line of valid UTF-8 for people: without terminal escapes, with '?' in place of
/// control characters and broken bytes, and cut with "..." after about `max` bytes.
std::string printable(std::string_view text, std::size_t max);

/// Keeps the end of what a process printed, of any kind: binary garbage, lines without end.
class LastWords {
  public:
    void add(std::string_view piece);

    /// The last lines, joined by " | ": what a person needs to see why it ended. The latest line
    /// before them that names an error (of a traceback, say) precedes them.
    std::string text() const;

  private:
    std::string tail_;
    bool cut_ = false;  ///< `tail_` may begin in the middle of a line
};

/// Cuts output into lines for the log.
class OutputLines {
  public:
    /// Adds a piece; returns the lines that it completed, printable, without empty ones.
    std::vector<std::string> add(std::string_view piece);

  private:
    std::string current_;
};

}  // namespace drover::engines

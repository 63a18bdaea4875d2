// The end of what a process printed, bounded and harmless. Pure; any thread.
#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace drover::engines {

/// Collects output in pieces of any kind (binary garbage, endless lines) and keeps the last lines.
class LastWords {
  public:
    /// Adds a piece; returns the lines that it completed, cleaned, for the log.
    std::vector<std::string> add(std::string_view piece);

    /// The last lines, joined by " | ": what a person needs to see why it ended.
    std::string text() const;

  private:
    void finish_line(std::vector<std::string>& finished);

    std::deque<std::string> lines_;
    std::string current_;
};

}  // namespace drover::engines

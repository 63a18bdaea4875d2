// Which parts of a file are there: a set of byte ranges. Pure; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace drover::store {

/// [begin, end)
struct ByteRange {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;

    std::uint64_t size() const { return end - begin; }
    bool operator==(const ByteRange&) const = default;
};

/// Ranges that touch are one.
class ByteRanges {
  public:
    /// Empty ranges are ignored.
    void add(ByteRange range);

    /// How many bytes are there.
    std::uint64_t covered() const { return covered_; }

    /// What is missing of the first `total` bytes, in order, in pieces of at most `longest`.
    std::vector<ByteRange> missing(std::uint64_t total, std::uint64_t longest) const;

    /// Reads lines "BEGIN END" as journal_line() writes them. A line that is cut or makes no sense
    /// is ignored, like everything beyond `total`: a journal may end anywhere.
    static ByteRanges from_journal(std::string_view text, std::uint64_t total);

  private:
    std::map<std::uint64_t, std::uint64_t> ranges_;  ///< begin -> end
    std::uint64_t covered_ = 0;
};

std::string journal_line(ByteRange range);

}  // namespace drover::store

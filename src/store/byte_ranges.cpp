#include "store/byte_ranges.hpp"

#include <algorithm>
#include <charconv>
#include <iterator>

namespace drover::store {

void ByteRanges::add(ByteRange range) {
    if (range.begin >= range.end) {
        return;
    }
    auto next = ranges_.upper_bound(range.begin);
    if (next != ranges_.begin()) {
        const auto before = std::prev(next);
        if (before->second >= range.begin) {
            next = before;
        }
    }
    while (next != ranges_.end() && next->first <= range.end) {
        range.begin = std::min(range.begin, next->first);
        range.end = std::max(range.end, next->second);
        covered_ -= next->second - next->first;
        next = ranges_.erase(next);
    }
    ranges_.emplace(range.begin, range.end);
    covered_ += range.size();
}

std::vector<ByteRange> ByteRanges::missing(std::uint64_t total, std::uint64_t longest) const {
    std::vector<ByteRange> gaps;
    const auto note = [&](std::uint64_t begin, std::uint64_t end) {
        for (; begin < end; begin = gaps.back().end) {
            gaps.push_back({begin, begin + std::min(longest, end - begin)});
        }
    };
    std::uint64_t at = 0;
    for (const auto& [begin, end] : ranges_) {
        note(at, std::min(begin, total));
        at = end;
    }
    note(at, total);
    return gaps;
}

ByteRanges ByteRanges::from_journal(std::string_view text, std::uint64_t total) {
    ByteRanges ranges;
    while (!text.empty()) {
        const std::size_t length = text.find('\n');
        if (length == text.npos) {
            break;  // the line was being written when the program ended
        }
        const char* const end = text.data() + length;
        ByteRange range;
        const auto first = std::from_chars(text.data(), end, range.begin);
        if (first.ec == std::errc() && first.ptr != end && *first.ptr == ' ') {
            const auto second = std::from_chars(first.ptr + 1, end, range.end);
            if (second.ec == std::errc() && second.ptr == end && range.end <= total) {
                ranges.add(range);
            }
        }
        text.remove_prefix(length + 1);
    }
    return ranges;
}

std::string journal_line(ByteRange range) {
    return std::to_string(range.begin) + " " + std::to_string(range.end) + "\n";
}

}  // namespace drover::store

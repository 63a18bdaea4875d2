// Server-sent events from pieces of a stream. Pure; one thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace drover::gateway::dialect {

/// Finds the data of each event, however the stream is cut into pieces. Comments and other fields
/// are passed over. An event without end is bounded: what is beyond `kEventMax` is dropped.
class SseSplitter {
  public:
    static constexpr std::size_t kEventMax = std::size_t{16} << 20;

    /// Calls `take(data)` for every event that is complete now; views hold for the call.
    template <typename Take>
    void put(std::string_view piece, Take take) {
        for (;;) {
            const std::size_t end = piece.find('\n');
            if (end == std::string_view::npos) {
                append(line_, piece);
                return;
            }
            append(line_, piece.substr(0, end));
            piece.remove_prefix(end + 1);
            end_line(take);
        }
    }

  private:
    static void append(std::string& text, std::string_view more) {
        text.append(more.substr(0, kEventMax - std::min(kEventMax, text.size())));
    }

    template <typename Take>
    void end_line(Take& take) {
        std::string_view line = line_;
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (line.starts_with("data:")) {
            line.remove_prefix(line.starts_with("data: ") ? 6 : 5);
            data_ += has_data_ ? "\n" : "";
            append(data_, line);
            has_data_ = true;
        } else if (line.empty() && has_data_) {
            take(std::string_view(data_));
            data_.clear();
            has_data_ = false;
        }
        line_.clear();
    }

    std::string line_;
    std::string data_;
    bool has_data_ = false;
};

}  // namespace drover::gateway::dialect

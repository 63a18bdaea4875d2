// A file that lines are appended to and that never becomes larger than it may. One thread at a
// time; writes go to the page cache and do not wait for the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// Readable by the user alone (0600). At half of its limit the file becomes FILE.1, which replaces
/// the one before.
class AppendLog {
  public:
    /// Makes the file, or goes on with what is there. `io_error` when it cannot be written, is a
    /// link or belongs to somebody else.
    static Result<AppendLog> open(std::filesystem::path path, Bytes limit);

    AppendLog(AppendLog&& other) noexcept
        : path_(std::move(other.path_)),
          half_(other.half_),
          size_(other.size_),
          fd_(std::exchange(other.fd_, -1)) {}
    AppendLog& operator=(AppendLog&&) = delete;
    ~AppendLog();

    /// Appends `line` and a line's end, both at once.
    Status append(std::string_view line);

  private:
    AppendLog(std::filesystem::path path, Bytes limit)
        : path_(std::move(path)), half_(limit.count() / 2) {}
    Status reopen();

    std::filesystem::path path_;
    std::int64_t half_;
    std::int64_t size_ = 0;
    int fd_ = -1;
};

}  // namespace drover::platform

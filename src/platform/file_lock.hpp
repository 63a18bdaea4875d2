// A lock between threads and processes that lives in a file and ends with its holder, however that
// ends. Any thread; blocks only where it says so.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <utility>

#include "base/result.hpp"

namespace drover::platform {

/// Holds the lock as long as it lives. The file is made when needed and may be renamed or removed
/// while it is locked.
class FileLock {
  public:
    /// `unavailable` when somebody else holds the lock, `io_error` when the file cannot be opened.
    static Result<FileLock> try_exclusive(const std::filesystem::path& file);

    /// Waits while somebody holds it exclusively, which nobody may do for long.
    static Result<FileLock> shared(const std::filesystem::path& file);

    FileLock(FileLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    FileLock& operator=(FileLock&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~FileLock();

    /// The open file, for reading and writing.
    int fd() const { return fd_; }

  private:
    explicit FileLock(int fd) : fd_(fd) {}

    int fd_ = -1;
};

}  // namespace drover::platform

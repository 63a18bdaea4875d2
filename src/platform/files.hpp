// Files, as far as the rest needs them. Any thread; blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"
#include "base/units.hpp"

namespace drover::platform {

/// The whole file as text. `not_found`, `io_error` (also when it is no regular file), or
/// `too_large` beyond `limit`.
Result<std::string> read_file(const std::filesystem::path& path, Bytes limit);

/// Replaces or makes the file so that, whenever the machine stops, it has either its old content or
/// all of the new one. Readable by the user alone.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content);

/// Makes `path` a directory that only we can enter (0700). Refuses, with a remedy, one that belongs
/// to somebody else or is a link.
Status make_private_directory(const std::filesystem::path& path);

/// Bytes that can still be written where `path` is or will be.
Result<Bytes> free_space(const std::filesystem::path& path);

/// Asks the kernel to read `length` bytes at `offset` into its page cache: a hint. Returns how many
/// bytes of the file lie there or before; 0 when it cannot be read. Takes as long as the disk needs
/// to take the request, which is about as long as reading what is not cached.
Bytes read_ahead(const std::filesystem::path& path, Bytes offset, Bytes length);

/// When the file was last written, in seconds since 1970; 0 when nobody can say.
std::int64_t modification_time(const std::filesystem::path& path);

/// A file as memory, read as it is touched. Reading what somebody else has cut off the file
/// meanwhile kills the process (SIGBUS).
class MappedFile {
  public:
    /// `not_found` or `io_error`.
    static Result<MappedFile> open(const std::filesystem::path& path);

    MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
    MappedFile& operator=(MappedFile&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~MappedFile();

    std::string_view bytes() const { return bytes_; }

  private:
    explicit MappedFile(std::string_view bytes) : bytes_(bytes) {}

    std::string_view bytes_;
};

}  // namespace drover::platform

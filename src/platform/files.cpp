#include "platform/files.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

Error file_error(const std::string& what, int number) {
    return {number == ENOENT ? ErrorCode::not_found : ErrorCode::io_error,
            what + ": " + std::generic_category().message(number)};
}

/// Linux reads no more for one hint than the device's read-ahead, and forgets the rest without a
/// word; this is what devices have at least.
constexpr Bytes kHintMax = 128_KiB;

/// A file descriptor that closes itself.
class File {
  public:
    explicit File(int fd) : fd_(fd) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { close(); }

    int get() const { return fd_; }
    int close() { return fd_ >= 0 ? ::close(std::exchange(fd_, -1)) : 0; }

  private:
    int fd_;
};

bool write_all(int fd, std::string_view content) {
    while (!content.empty()) {
        const ssize_t count = ::write(fd, content.data(), content.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return false;
        }
        content.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
}

}  // namespace

Result<std::string> read_file(const fs::path& path, Bytes limit) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
        return Error{ErrorCode::not_found, path.string() + ": no such file"};
    }
    if (!fs::is_regular_file(status)) {  // reading a pipe could take for ever
        return Error{ErrorCode::io_error, path.string() + " is not a file"};
    }
    std::ifstream in(path, std::ios::binary);
    std::string text;
    std::string piece(64UL * 1024, '\0');
    // Files in /proc have no size, so the end is where reading stops.
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
        text.append(piece, 0, static_cast<std::size_t>(in.gcount()));
        if (Bytes(static_cast<std::int64_t>(text.size())) > limit) {
            return Error{ErrorCode::too_large,
                         path.string() + " is larger than " + to_string(limit)};
        }
    }
    if (!in.eof()) {
        return file_error("cannot read " + path.string(), errno);
    }
    return text;
}

Status write_file_atomically(const fs::path& path, std::string_view content) {
    const std::string what = "cannot write " + path.string();
    std::string temporary = path.string() + ".XXXXXX";
    File file(::mkostemp(temporary.data(), O_CLOEXEC));
    if (file.get() < 0) {
        return file_error(what, errno);
    }
    if (!write_all(file.get(), content) || ::fsync(file.get()) != 0 || file.close() != 0 ||
        ::rename(temporary.c_str(), path.c_str()) != 0) {
        const Error error = file_error(what, errno);
        ::unlink(temporary.c_str());
        return error;
    }
    // The new name is durable only with its directory.
    const fs::path parent = path.has_parent_path() ? path.parent_path() : ".";
    const File directory(::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0 || ::fsync(directory.get()) != 0) {
        return file_error(what, errno);
    }
    return {};
}

Status make_private_directory(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        return file_error("cannot make " + path.string(), errno);
    }
    // What is opened here is what is checked and protected, whoever renames things meanwhile.
    const File directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (directory.get() < 0 || ::fstat(directory.get(), &info) != 0 || info.st_uid != ::geteuid()) {
        return Error{ErrorCode::io_error,
                     path.string() +
                         " is not a directory of this user; remove it or set DROVER_RUNTIME_DIR"};
    }
    if (::fchmod(directory.get(), S_IRWXU) != 0) {
        return file_error("cannot protect " + path.string(), errno);
    }
    return {};
}

Result<Bytes> free_space(const fs::path& path) {
    std::error_code error;
    fs::path existing = fs::absolute(path, error);
    while (!fs::exists(existing, error) && existing != existing.root_path()) {
        existing = existing.parent_path();
    }
    const fs::space_info space = fs::space(existing, error);
    if (error) {
        return Error{ErrorCode::io_error, path.string() + ": " + error.message()};
    }
    return Bytes(static_cast<std::int64_t>(space.available));
}

Bytes read_ahead(const std::filesystem::path& path, Bytes offset, Bytes length) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0) {
        return Bytes(0);
    }
    struct stat status {};
    const bool known = ::fstat(file, &status) == 0 && S_ISREG(status.st_mode);
    const Bytes end = known ? std::min(Bytes(status.st_size), offset + length) : Bytes(0);
    for (Bytes at = offset; at < end; at += kHintMax) {
        ::posix_fadvise(
            file, at.count(), std::min(kHintMax, end - at).count(), POSIX_FADV_WILLNEED);
    }
    ::close(file);
    return end;
}

std::int64_t modification_time(const fs::path& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mtime : 0;
}

Result<MappedFile> MappedFile::open(const fs::path& path) {
    const std::string what = "cannot open " + path.string();
    const File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat info {};
    if (file.get() < 0 || ::fstat(file.get(), &info) != 0) {
        return file_error(what, errno);
    }
    if (!S_ISREG(info.st_mode)) {
        return Error{ErrorCode::io_error, path.string() + " is not a file"};
    }
    if (info.st_size == 0) {
        return MappedFile(std::string_view());
    }
    const auto size = static_cast<std::size_t>(info.st_size);
    void* start = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (start == MAP_FAILED) {
        return file_error(what, errno);
    }
    return MappedFile(std::string_view(static_cast<const char*>(start), size));
}

MappedFile::~MappedFile() {
    if (!bytes_.empty()) {
        ::munmap(const_cast<char*>(bytes_.data()), bytes_.size());  // NOLINT: its signature
    }
}

}  // namespace drover::platform

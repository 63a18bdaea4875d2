#include "platform/files.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include <sys/stat.h>
#include <unistd.h>

namespace drover::platform {

namespace fs = std::filesystem;

Result<std::string> read_file(const fs::path& path, Bytes limit) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (!fs::exists(status)) {
        return Error{ErrorCode::not_found, path.string() + ": no such file"};
    }
    if (fs::is_directory(status)) {
        return Error{ErrorCode::io_error, path.string() + " is a directory"};
    }
    std::ifstream in(path, std::ios::binary);
    std::string text;
    std::string piece(64 * 1024, '\0');
    // Files in /proc have no size, so the end is where reading stops.
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
        text.append(piece, 0, static_cast<std::size_t>(in.gcount()));
        if (Bytes(static_cast<std::int64_t>(text.size())) > limit) {
            return Error{ErrorCode::too_large,
                         path.string() + " is larger than " + to_string(limit)};
        }
    }
    if (!in.eof()) {
        return Error{ErrorCode::io_error,
                     path.string() + " cannot be read: " + std::strerror(errno)};
    }
    return text;
}

Status make_private_directory(const fs::path& path) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (::mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) {
        return Error{ErrorCode::io_error,
                     "cannot make " + path.string() + ": " + std::strerror(errno)};
    }
    struct stat info {};
    if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid()) {
        return Error{ErrorCode::io_error,
                     path.string() +
                         " is not a directory of this user; remove it or set DROVER_RUNTIME_DIR"};
    }
    if (::chmod(path.c_str(), S_IRWXU) != 0) {
        return Error{ErrorCode::io_error,
                     "cannot protect " + path.string() + ": " + std::strerror(errno)};
    }
    return {};
}

Result<Bytes> free_space(const fs::path& path) {
    std::error_code error;
    const fs::space_info space = fs::space(path, error);
    if (error) {
        return Error{ErrorCode::io_error, path.string() + ": " + error.message()};
    }
    return Bytes(static_cast<std::int64_t>(space.available));
}

}  // namespace drover::platform

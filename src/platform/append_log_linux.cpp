#include <cerrno>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/append_log.hpp"

namespace drover::platform {

namespace fs = std::filesystem;

namespace {

Error write_error(const fs::path& path, int number) {
    return {ErrorCode::io_error,
            "cannot write " + path.string() + ": " + std::generic_category().message(number)};
}

}  // namespace

Result<AppendLog> AppendLog::open(fs::path path, Bytes limit) {
    std::error_code ignored;
    fs::create_directories(path.parent_path(), ignored);  // opening the file tells what is wrong
    AppendLog log(std::move(path), limit);
    DROVER_TRY(log.reopen());
    return log;
}

AppendLog::~AppendLog() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

Status AppendLog::reopen() {
    if (fd_ >= 0) {
        ::close(std::exchange(fd_, -1));
    }
    constexpr mode_t kPrivate = 0600;
    fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, kPrivate);
    struct stat status {};
    if (fd_ < 0 || ::fstat(fd_, &status) != 0) {
        return write_error(path_, errno);
    }
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid()) {
        return Error{ErrorCode::io_error, path_.string() + " is no file of this user's"};
    }
    if (::fchmod(fd_, kPrivate) != 0) {
        return write_error(path_, errno);
    }
    size_ = status.st_size;
    return {};
}

Status AppendLog::append(std::string_view line) {
    std::string whole(line);
    whole += '\n';
    const auto size = static_cast<std::int64_t>(whole.size());
    if (size > half_) {
        return Error{ErrorCode::too_large, "the line is larger than the file may be"};
    }
    if (size_ + size > half_) {
        std::error_code failure;
        fs::rename(path_, path_.string() + ".1", failure);
        if (failure) {
            return write_error(path_, failure.value());
        }
        DROVER_TRY(reopen());
    }
    // One write, so that a line is never torn between two of us.
    const ssize_t written = fd_ < 0 ? -1 : ::write(fd_, whole.data(), whole.size());
    if (written != static_cast<ssize_t>(whole.size())) {
        return write_error(path_, written < 0 ? errno : ENOSPC);
    }
    size_ += size;
    return {};
}

}  // namespace drover::platform

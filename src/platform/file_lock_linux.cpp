#include <cerrno>
#include <string>
#include <system_error>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/file_lock.hpp"

namespace drover::platform {

namespace {

Error lock_error(const std::filesystem::path& file) {
    const int number = errno;
    return {number == EWOULDBLOCK ? ErrorCode::unavailable : ErrorCode::io_error,
            "cannot lock " + file.string() + ": " + std::generic_category().message(number)};
}

int flock_again(int fd, int how) {
    int result = 0;
    do {
        result = ::flock(fd, how);
    } while (result != 0 && errno == EINTR);
    return result;
}

/// The file may have been renamed or removed between open() and flock(): then what is locked is not
/// what others find at this path.
bool is_still(int fd, const std::filesystem::path& file) {
    struct stat opened {};
    struct stat named {};
    return ::fstat(fd, &opened) == 0 && ::stat(file.c_str(), &named) == 0 &&
           opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/// A descriptor that is locked, or -1 with errno set.
int open_locked(const std::filesystem::path& file, int how) {
    for (;;) {
        const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd < 0) {
            return -1;
        }
        if (flock_again(fd, how) != 0) {
            const int number = errno;
            ::close(fd);
            errno = number;
            return -1;
        }
        if (is_still(fd, file)) {
            return fd;
        }
        ::close(fd);
    }
}

}  // namespace

Result<FileLock> FileLock::try_exclusive(const std::filesystem::path& file) {
    const int fd = open_locked(file, LOCK_EX | LOCK_NB);
    if (fd < 0) {
        return lock_error(file);
    }
    return FileLock(fd);
}

Result<FileLock> FileLock::shared(const std::filesystem::path& file) {
    const int fd = open_locked(file, LOCK_SH);
    if (fd < 0) {
        return lock_error(file);
    }
    return FileLock(fd);
}

FileLock::~FileLock() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

}  // namespace drover::platform

#include "store/incoming_blob.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include "platform/os_error.hpp"
#include "store/disk_space.hpp"

namespace drover::store {

namespace {}  // namespace

Result<std::unique_ptr<IncomingBlob>> IncomingBlob::begin(const Store& store,
                                                          const Digest& digest,
                                                          std::optional<Bytes> size) {
    auto writing = store.writing();
    if (!writing.ok()) {
        return writing.error();
    }
    DROVER_TRY(check_space(store, size.value_or(Bytes(0))));
    // A file of its own for each: clients may well send the same blob at the same time.
    std::string file = store.blob(digest).string() + "-upload-XXXXXX";
    const int fd = ::mkostemp(file.data(), O_CLOEXEC);
    if (fd < 0) {
        return platform::os_error(file, errno);
    }
    return std::unique_ptr<IncomingBlob>(
        new IncomingBlob(store, digest, std::move(*writing), file, fd));
}

IncomingBlob::IncomingBlob(const Store& store,
                           Digest digest,
                           platform::FileLock writing,
                           std::filesystem::path file,
                           int fd)
    : store_(store),
      digest_(std::move(digest)),
      writing_(std::move(writing)),
      file_(std::move(file)),
      fd_(fd) {}

IncomingBlob::~IncomingBlob() {
    if (!file_.empty()) {
        ::unlink(file_.c_str());
    }
    ::close(fd_);
}

Status IncomingBlob::write(std::string_view piece) {
    DROVER_TRY(check_space(store_, Bytes(static_cast<std::int64_t>(piece.size()))));
    sha_.put(piece);
    while (!piece.empty()) {
        const ssize_t count = ::write(fd_, piece.data(), piece.size());
        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count <= 0) {
            return platform::os_error(file_.string(), errno);
        }
        piece.remove_prefix(static_cast<std::size_t>(count));
    }
    return {};
}

Status IncomingBlob::finish() {
    const Digest received = sha_.finish();
    if (received != digest_) {
        return Error{ErrorCode::invalid_argument,
                     "digest mismatch, expected \"" + digest_.to_string() + "\", got \"" +
                         received.to_string() + "\""};
    }
    if (::fdatasync(fd_) != 0 || ::rename(file_.c_str(), store_.blob(digest_).c_str()) != 0) {
        return platform::os_error(file_.string(), errno);
    }
    file_.clear();
    return {};
}

}  // namespace drover::store

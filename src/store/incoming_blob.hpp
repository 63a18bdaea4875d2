// A blob that a client sends: on the disk from its first byte, in the store when its digest is
// right. Blocks; one thread at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "base/result.hpp"
#include "base/units.hpp"
#include "platform/file_lock.hpp"
#include "store/digest.hpp"
#include "store/store.hpp"

namespace drover::store {

/// Bounded by the disk alone. What was never finished is removed with it; where the program was
/// killed, `drover prune` does that.
class IncomingBlob {
  public:
    /// Begins the blob `digest`. One whose `size` is known is refused at once when the disk has no
    /// room for it (`io_error`).
    static Result<std::unique_ptr<IncomingBlob>> begin(const Store& store,
                                                       const Digest& digest,
                                                       std::optional<Bytes> size);

    IncomingBlob(const IncomingBlob&) = delete;
    IncomingBlob& operator=(const IncomingBlob&) = delete;
    ~IncomingBlob();

    /// `io_error` when the disk is full or broken.
    Status write(std::string_view piece);

    /// The blob is in the store, or `invalid_argument`: the bytes have another digest.
    Status finish();

  private:
    IncomingBlob(const Store& store,
                 Digest digest,
                 platform::FileLock writing,
                 std::filesystem::path file,
                 int fd);

    Store store_;
    Digest digest_;
    platform::FileLock writing_;
    std::filesystem::path file_;  ///< empty: there is none any more
    int fd_;
    Sha256 sha_;
};

}  // namespace drover::store

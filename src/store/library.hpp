// The models on this machine's disk, as clients of the server change them. Implemented in app/. On
// the loop only.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "platform/async.hpp"
#include "store/create.hpp"
#include "store/progress.hpp"

namespace drover::store {

/// Set from any thread when nobody waits for the work any more.
using StopFlag = std::shared_ptr<std::atomic<bool>>;

/// A blob on its way from a client. On the loop only. What was not finished is thrown away with it.
class BlobReceiver {
  public:
    virtual ~BlobReceiver() = default;

    /// Returns when the piece is in its file. `io_error` when the disk is full or broken.
    virtual platform::Task<Status> write(std::string piece) = 0;

    /// The blob is in the store, or `invalid_argument`: the bytes have another digest.
    virtual platform::Task<Status> finish() = 0;
};

class Library {
  public:
    virtual ~Library() = default;

    /// Brings a model into the store; `on_progress` is called on the loop until it returns. The
    /// model can be used when it does.
    virtual platform::Task<Status> pull(std::string reference,
                                        bool insecure,
                                        OnProgress on_progress,
                                        StopFlag stop) = 0;

    /// Brings the model that `reference` names, with its registry, to there.
    virtual platform::Task<Status> push(std::string reference,
                                        bool insecure,
                                        OnProgress on_progress,
                                        StopFlag stop) = 0;

    virtual platform::Task<Status> create(CreateRequest request,
                                          OnProgress on_progress,
                                          StopFlag stop) = 0;

    virtual platform::Task<Status> copy(std::string from, std::string to) = 0;

    /// Removes a model of the store. One in use is found no more, and leaves the memory when its
    /// last answer ends.
    virtual platform::Task<Status> remove(std::string model) = 0;

    /// `invalid_argument` when that is no digest.
    virtual Result<bool> has_blob(const std::string& digest) const = 0;

    /// Begins to take the blob `digest`, of `size` bytes if that is known. `invalid_argument` when
    /// that is no digest, `io_error` when the disk has no room for it.
    virtual platform::Task<Result<std::unique_ptr<BlobReceiver>>> receive_blob(
        std::string digest, std::optional<Bytes> size) = 0;
};

}  // namespace drover::store

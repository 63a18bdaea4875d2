// The models on this machine's disk, as clients of the server change them. Implemented in app/. On
// the loop only.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "platform/async.hpp"
#include "store/create.hpp"
#include "store/progress.hpp"

namespace drover::store {

/// Set from any thread when nobody waits for the work any more.
using StopFlag = std::shared_ptr<std::atomic<bool>>;

class Library {
  public:
    virtual ~Library() = default;

    /// Brings a model into the store; `on_progress` is called on the loop until it returns. The
    /// model can be used when it does.
    virtual platform::Task<Status> pull(std::string reference,
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

    /// Keeps `content` as the blob `digest`; `invalid_argument` when it has another one.
    virtual platform::Task<Status> put_blob(std::string digest, std::string content) = 0;
};

}  // namespace drover::store

// The server's store: what clients pull, create, copy and delete. On the loop only.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/model_watch.hpp"
#include "app/plan.hpp"
#include "config/config.hpp"
#include "platform/blocking_pool.hpp"
#include "store/library.hpp"
#include "store/pull.hpp"
#include "store/store.hpp"

namespace drover::app {

/// Pulls take hours, so they have threads of their own.
class ModelLibrary final : public store::Library {
  public:
    /// Everything that is given outlives the library.
    ModelLibrary(platform::Loop& loop, const config::Config& config, ModelWatch& watch);

    /// Makes all work end soon; what was pulled is kept.
    void stop() { stopping_->store(true); }

    /// What the headers of models say that are somewhere else.
    platform::Task<RemoteModels> look_at(std::vector<std::string> references);

    platform::Task<Status> pull(std::string reference,
                                bool insecure,
                                store::OnProgress on_progress,
                                store::StopFlag stop) override;
    platform::Task<Status> push(std::string reference,
                                bool insecure,
                                store::OnProgress on_progress,
                                store::StopFlag stop) override;
    platform::Task<Status> create(store::CreateRequest request,
                                  store::OnProgress on_progress,
                                  store::StopFlag stop) override;
    platform::Task<Status> copy(std::string from, std::string to) override;
    platform::Task<Status> remove(std::string model) override;
    Result<bool> has_blob(const std::string& digest) const override;
    platform::Task<Result<std::unique_ptr<store::BlobReceiver>>> receive_blob(
        std::string digest, std::optional<Bytes> size) override;

  private:
    platform::Loop& loop_;
    const config::Config& config_;
    ModelWatch& watch_;
    store::Store store_;
    store::PullOptions options_;
    std::shared_ptr<std::atomic<bool>> stopping_ = std::make_shared<std::atomic<bool>>(false);
    platform::BlockingPool pool_;
    platform::BlockingPool writers_;  ///< of what must not wait until a pull ends: uploads, looks
};

}  // namespace drover::app

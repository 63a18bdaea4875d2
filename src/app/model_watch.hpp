// Keeps the server's models those that are on the disk. On the loop only.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "config/config.hpp"
#include "control/control_loop.hpp"
#include "models/registry.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/folder_watch.hpp"
#include "platform/notifier.hpp"
#include "platform/task_scope.hpp"

namespace drover::app {

/// What control is told of the models that there are.
using ManageModels = std::function<std::vector<control::ManagedModel>(models::Registry&)>;

/// Looks when something has changed in one of the models' folders, when it is asked to, and every
/// now and then, since not all file systems tell.
class ModelWatch {
  public:
    ModelWatch(platform::Loop& loop,
               platform::BlockingPool& pool,
               control::ControlLoop& control,
               const config::Config& config,
               ManageModels manage,
               models::Registry registry);

    void start();
    platform::Task<> stop();

    /// As of the last look.
    const models::Registry& registry() const { return *registry_; }

    /// Looks now; what has changed is in effect when it returns.
    platform::Task<> refresh();

  private:
    platform::Task<> run();

    platform::BlockingPool& pool_;
    control::ControlLoop& control_;
    const config::Config& config_;
    ManageModels manage_;
    std::shared_ptr<const models::Registry> registry_;
    platform::FolderWatch folders_;
    bool looking_ = false;
    platform::Notifier looked_;
    platform::TaskScope tasks_;
};

}  // namespace drover::app

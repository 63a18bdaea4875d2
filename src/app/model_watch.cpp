#include "app/model_watch.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "app/wiring.hpp"
#include "platform/log.hpp"
#include "platform/paths.hpp"
#include "store/discovery.hpp"

namespace drover::app {

namespace {

/// How old a change on a file system of another machine may become.
constexpr std::chrono::milliseconds kLookEvery{60'000};

bool is_same(const models::Model& a, const models::Model& b) {
    return a.id == b.id && a.name == b.name && a.aliases == b.aliases &&
           a.broken.has_value() == b.broken.has_value();
}

bool are_same(const models::Registry& a, const models::Registry& b) {
    return std::equal(
        a.models().begin(), a.models().end(), b.models().begin(), b.models().end(), is_same);
}

/// Tells those who wait for a look that it has ended, however it does.
class Look {
  public:
    Look(bool& looking, platform::Notifier& looked) : looking_(looking), looked_(looked) {
        looking_ = true;
    }
    Look(const Look&) = delete;
    Look& operator=(const Look&) = delete;
    ~Look() {
        looking_ = false;
        looked_.notify_all();
    }

  private:
    bool& looking_;
    platform::Notifier& looked_;
};

}  // namespace

ModelWatch::ModelWatch(platform::Loop& loop,
                       platform::BlockingPool& pool,
                       control::ControlLoop& control,
                       const config::Config& config,
                       ManageModels manage,
                       models::Registry registry)
    : pool_(pool),
      control_(control),
      config_(config),
      manage_(std::move(manage)),
      registry_(std::make_shared<const models::Registry>(std::move(registry))),
      folders_(loop),
      looked_(loop),
      tasks_(loop) {}

void ModelWatch::start() {
    control_.on_refresh([this] { return refresh(); });
    tasks_.spawn("app.models", [this] { return run(); });
}

platform::Task<> ModelWatch::stop() {
    tasks_.cancel();
    co_await tasks_.join();
}

platform::Task<> ModelWatch::run() {
    for (;;) {
        folders_.watch(store::places(config_, platform::process_environment()));
        co_await refresh();  // what changed before the folders were watched
        co_await folders_.changed(kLookEvery);
    }
}

platform::Task<> ModelWatch::refresh() {
    while (looking_) {
        co_await looked_.wait();
    }
    const Look look(looking_, looked_);
    const config::Config* config = &config_;
    auto scan = [config, previous = registry_] {
        return std::make_shared<models::Registry>(find_models(*config, previous.get()));
    };
    const auto fresh = co_await pool_.run(std::move(scan));
    if (are_same(*registry_, *fresh)) {
        co_return;
    }
    auto managed = manage_(*fresh);
    registry_ = fresh;
    for (const std::string& problem : registry_->problems()) {
        platform::log::warn("models.problem", {{"problem", problem}});
    }
    control_.replace_models(*registry_, std::move(managed));
}

}  // namespace drover::app

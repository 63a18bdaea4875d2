#include "gateway/server.hpp"

#include <chrono>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "control/control_loop.hpp"
#include "platform/blocking_pool.hpp"
#include "platform/clock.hpp"
#include "platform/task_scope.hpp"
#include "store/library.hpp"

namespace drover::gateway {
namespace {

using platform::now;
using platform::Task;
using std::chrono::milliseconds;

/// Nothing can be changed on this disk.
class ReadOnlyLibrary final : public store::Library {
  public:
    Task<Status> pull(std::string, bool, store::OnProgress, store::StopFlag) override {
        co_return refused();
    }
    Task<Status> push(std::string, bool, store::OnProgress, store::StopFlag) override {
        co_return refused();
    }
    Task<Status> create(store::CreateRequest, store::OnProgress, store::StopFlag) override {
        co_return refused();
    }
    Task<Status> copy(std::string, std::string) override { co_return refused(); }
    Task<Status> remove(std::string) override { co_return refused(); }
    Result<bool> has_blob(const std::string&) const override { return false; }
    Task<Result<std::unique_ptr<store::BlobReceiver>>> receive_blob(std::string,
                                                                    std::optional<Bytes>) override {
        co_return refused();
    }

  private:
    static Error refused() { return {ErrorCode::unavailable, "read only"}; }
};

// The end of the ticker's wait was on its way when the server stopped: its next wait began, and
// nothing ended it.
TEST(Server, StopsAlsoWhileATickIsDue) {
    platform::Loop loop(1);
    platform::BlockingPool pool(1);
    control::ControlLoop fleet(loop, pool, {}, models::Registry(), {});
    ReadOnlyLibrary library;
    ServerOptions options{.port = 0};
    options.limits.idle_timeout = milliseconds(20);  // so the ticks are 5 ms apart
    Server server(loop, fleet, library, std::move(options));
    ASSERT_TRUE(server.start().ok());
    loop.poll();
    const TimePoint due = now() + milliseconds(10);
    while (now() < due) {  // the loop does not run meanwhile
    }
    bool stopped = false;
    platform::TaskScope tasks(loop);
    tasks.spawn("test.stop", [&]() -> Task<> {
        co_await server.stop();
        stopped = true;
    });
    loop.run_for(std::chrono::seconds(5));
    ASSERT_TRUE(stopped);
}

}  // namespace
}  // namespace drover::gateway

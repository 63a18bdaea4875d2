#include "platform/stop_signals.hpp"

#include <csignal>

#include <gtest/gtest.h>

#include "platform/task_scope.hpp"
#include "support/on_loop.hpp"

namespace drover::platform {
namespace {

TEST(StopSignals, AreHeardAlsoBeforeTheyAreWaitedFor) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        StopSignals signals(loop);
        ::raise(SIGTERM);
        ::raise(SIGINT);
        const int first = co_await signals.wait();
        const int second = co_await signals.wait();
        EXPECT_EQ(first + second, SIGTERM + SIGINT);
    });
}

TEST(StopSignals, ACancelledWaitGivesNothing) {
    testing::on_loop([&](Loop& loop) -> Task<> {
        StopSignals signals(loop);
        TaskScope scope(loop);
        int heard = -1;
        scope.spawn("wait", [&]() -> Task<> { heard = co_await signals.wait(); });
        scope.cancel();
        co_await scope.join();
        EXPECT_EQ(heard, 0);
    });
}

}  // namespace
}  // namespace drover::platform

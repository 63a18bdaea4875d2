#include "platform/task_scope.hpp"

#include <memory>
#include <stdexcept>
#include <vector>

#include <boost/asio/post.hpp>

#include <gtest/gtest.h>

#include "platform/clock.hpp"
#include "support/on_loop.hpp"

namespace drover::platform {
namespace {

using std::chrono::milliseconds;
using testing::on_loop;

Task<> sleep_for_ever(Loop& loop) {
    Timer timer(loop, Timer::time_point::max());
    co_await timer.async_wait(as_result);
}

TEST(TaskScope, JoinWaitsForAllTasks) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope scope(loop);
        int ended = 0;
        for (int i = 0; i < 5; ++i) {
            scope.spawn("test", [&loop, &ended, i]() -> Task<> {
                Timer timer(loop, milliseconds(i));
                co_await timer.async_wait(as_result);
                ++ended;
            });
        }
        co_await scope.join();
        EXPECT_EQ(ended, 5);
        EXPECT_EQ(scope.size(), 0U);
    });
}

TEST(TaskScope, CancelEndsTheWaitAndTheNextWaitThrows) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope scope(loop);
        bool woke = false;
        bool went_on = false;
        auto owned = std::make_shared<int>(1);
        const std::weak_ptr<int> watched = owned;
        scope.spawn("test", [&, owned = std::move(owned)]() -> Task<> {
            co_await sleep_for_ever(loop);
            woke = true;
            co_await sleep_for_ever(loop);
            went_on = true;
        });
        EXPECT_FALSE(watched.expired());
        scope.cancel();
        co_await scope.join();
        EXPECT_TRUE(woke);
        EXPECT_FALSE(went_on);
        EXPECT_TRUE(watched.expired()) << "captures live as long as their task, and no longer";
    });
}

TEST(TaskScope, AShieldedTaskCleansUpAsynchronously) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope scope(loop);
        int cleaned = 0;
        for (int i = 0; i < 100; ++i) {
            scope.spawn("test", [&]() -> Task<> {
                co_await sleep_for_ever(loop);
                co_await shield();
                Timer timer(loop, milliseconds(1));
                co_await timer.async_wait(as_result);
                ++cleaned;
            });
        }
        scope.cancel();
        co_await scope.join();
        EXPECT_EQ(cleaned, 100);
    });
}

TEST(TaskScope, ATaskMayCancelItsOwnScope) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope scope(loop);
        scope.spawn("other", [&]() -> Task<> { co_await sleep_for_ever(loop); });
        scope.spawn("self", [&]() -> Task<> {
            scope.cancel();
            co_return;
        });
        scope.spawn("later", [&]() -> Task<> {
            co_await asio::post(loop, use_task);
            scope.cancel();
            co_await sleep_for_ever(loop);
        });
        co_await scope.join();
        EXPECT_EQ(scope.size(), 0U);
    });
}

TEST(TaskScope, AnExceptionEndsOnlyItsTask) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope scope(loop);
        bool ended = false;
        scope.spawn("broken", []() -> Task<> {
            throw std::runtime_error("broken");
            co_return;
        });
        scope.spawn("whole", [&]() -> Task<> {
            Timer timer(loop, milliseconds(1));
            co_await timer.async_wait(as_result);
            ended = true;
        });
        co_await scope.join();
        EXPECT_TRUE(ended);
    });
}

TEST(TaskScope, JoinEndsEvenWhenTheJoinerIsCancelled) {
    on_loop([](Loop& loop) -> Task<> {
        TaskScope outer(loop);
        bool joined = false;
        outer.spawn("outer", [&]() -> Task<> {
            TaskScope inner(loop);
            inner.spawn("inner", [&]() -> Task<> {
                Timer timer(loop, milliseconds(5));
                co_await timer.async_wait(as_result);
            });
            co_await inner.join();
            joined = true;
        });
        outer.cancel();
        co_await outer.join();
        EXPECT_TRUE(joined);
    });
}

TEST(Notifier, WakesAllThatWait) {
    on_loop([](Loop& loop) -> Task<> {
        Notifier notifier(loop);
        TaskScope scope(loop);
        int woken = 0;
        for (int i = 0; i < 3; ++i) {
            scope.spawn("waiter", [&]() -> Task<> {
                co_await notifier.wait();
                ++woken;
            });
        }
        EXPECT_EQ(woken, 0);
        notifier.notify_all();
        co_await scope.join();
        EXPECT_EQ(woken, 3);
    });
}

TEST(Notifier, WaitsNoLongerThanItsDeadline) {
    on_loop([](Loop& loop) -> Task<> {
        Notifier notifier(loop);
        const TimePoint deadline = now() + milliseconds(5);
        co_await notifier.wait_until(deadline);
        EXPECT_GE(now(), deadline);
    });
}

TEST(Notifier, AWaiterThatIsCancelledLeaves) {
    on_loop([](Loop& loop) -> Task<> {
        Notifier notifier(loop);
        TaskScope scope(loop);
        scope.spawn("waiter", [&]() -> Task<> {
            while (true) {
                co_await notifier.wait();
            }
        });
        scope.cancel();
        co_await scope.join();
        notifier.notify_all();
    });
}

}  // namespace
}  // namespace drover::platform

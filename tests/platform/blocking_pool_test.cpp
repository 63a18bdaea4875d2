#include "platform/blocking_pool.hpp"

#include <memory>
#include <stdexcept>
#include <thread>

#include <gtest/gtest.h>

#include "platform/task_scope.hpp"
#include "support/on_loop.hpp"

namespace drover::platform {
namespace {

TEST(BlockingPool, RunsElsewhereAndResumesOnTheLoop) {
    BlockingPool pool(2);
    testing::on_loop([&](Loop& loop) -> Task<> {
        const auto loop_thread = std::this_thread::get_id();
        int sum = 0;
        TaskScope scope(loop);
        for (int i = 0; i < 100; ++i) {
            scope.spawn("work", [&, i]() -> Task<> {
                const auto thread = co_await pool.run([] { return std::this_thread::get_id(); });
                EXPECT_NE(thread, loop_thread);
                const auto echo = [i] {
                    return i;
                };
                sum += co_await pool.run(echo);
                EXPECT_EQ(std::this_thread::get_id(), loop_thread);
            });
        }
        co_await scope.join();
        EXPECT_EQ(sum, 4950);
    });
}

TEST(BlockingPool, MovesValuesInAndOut) {
    BlockingPool pool(1);
    testing::on_loop([&](Loop& /*loop*/) -> Task<> {
        auto in = std::make_unique<int>(7);
        auto give_back = [in = std::move(in)]() mutable {
            return std::move(in);
        };
        const std::unique_ptr<int> out = co_await pool.run(std::move(give_back));
        EXPECT_EQ(*out, 7);
    });
}

TEST(BlockingPool, AnExceptionComesBack) {
    BlockingPool pool(1);
    testing::on_loop([&](Loop& /*loop*/) -> Task<> {
        bool caught = false;
        try {
            co_await pool.run([]() -> int { throw std::runtime_error("broken"); });
        } catch (const std::runtime_error&) {
            caught = true;
        }
        EXPECT_TRUE(caught);
    });
}

}  // namespace
}  // namespace drover::platform

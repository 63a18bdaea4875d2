#include "engines/upstream_pool.hpp"

#include <memory>

#include <gtest/gtest.h>

#include "engines/upstream_connection.hpp"

namespace drover::engines {
namespace {

std::unique_ptr<UpstreamConnection> connection(platform::Loop& loop) {
    return std::make_unique<UpstreamConnection>(loop);
}

TEST(UpstreamPool, KeepsAsManyConnectionsAsABusyInstanceUsesAtOnce) {
    platform::Loop loop;
    UpstreamPool pool(loop, Endpoint::at_socket("/nowhere.sock"));
    const TimePoint now{};
    for (int i = 0; i < 64; ++i) {
        pool.give_back(connection(loop), now);
    }
    EXPECT_EQ(pool.idle(), 64U);
}

TEST(UpstreamPool, HandsOutTheYoungestAndMarksItAsReused) {
    platform::Loop loop;
    UpstreamPool pool(loop, Endpoint::at_socket("/nowhere.sock"));
    const TimePoint now{};
    pool.give_back(connection(loop), now);
    pool.give_back(connection(loop), now + std::chrono::seconds(1));
    const auto taken = pool.take_idle(now + std::chrono::seconds(2));
    ASSERT_NE(taken, nullptr);
    EXPECT_TRUE(taken->reused);
    EXPECT_EQ(taken->idle_since, now + std::chrono::seconds(1));
}

TEST(UpstreamPool, ForgetsConnectionsThatTheEngineIsAboutToClose) {
    platform::Loop loop;
    UpstreamPool pool(loop, Endpoint::at_socket("/nowhere.sock"));
    const TimePoint now{};
    pool.give_back(connection(loop), now);
    EXPECT_EQ(pool.take_idle(now + std::chrono::seconds(5)), nullptr);
    EXPECT_EQ(pool.idle(), 0U);
}

}  // namespace
}  // namespace drover::engines

// Runs a coroutine to its end on a loop of its own, for tests.
#pragma once

#include <chrono>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

#include <gtest/gtest.h>

#include "platform/async.hpp"

namespace drover::testing {

/// Runs `make(loop)`, a callable that returns Task<>, until it ends. Fails the test when it throws
/// or takes longer than `limit`.
template <typename Make>
void on_loop(Make make, std::chrono::seconds limit = std::chrono::seconds(60)) {
    platform::Loop loop(1);
    bool ended = false;
    boost::asio::co_spawn(
        loop,
        [&] { return make(loop); },
        [&](const std::exception_ptr& failure) {
            ended = true;
            try {
                if (failure != nullptr) {
                    std::rethrow_exception(failure);
                }
            } catch (const std::exception& error) {
                ADD_FAILURE() << "the coroutine threw: " << error.what();
            }
        });
    loop.run_for(limit);
    EXPECT_TRUE(ended) << "the coroutine did not end within " << limit.count() << " s";
}

}  // namespace drover::testing

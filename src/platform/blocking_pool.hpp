// A bounded pool of threads for work that blocks or takes long: values in, values out.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Joined at destruction. run() is called on the loop.
class BlockingPool {
  public:
    explicit BlockingPool(std::size_t threads) : pool_(threads) {}
    ~BlockingPool() { pool_.join(); }
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Calls `work()` on a thread of the pool and resumes on the loop with what it returns. `work`
    /// must own everything it touches and must not throw.
    template <typename Work>
    Task<std::invoke_result_t<Work>> run(Work work) {
        using Value = std::invoke_result_t<Work>;
        const Executor loop = co_await asio::this_coro::executor;
        co_return co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void(Value)>(
            [this, loop, work = std::move(work)](auto handler) mutable {
                asio::post(
                    pool_, [loop, work = std::move(work), handler = std::move(handler)]() mutable {
                        Value value = work();
                        asio::post(
                            loop,
                            [handler = std::move(handler), value = std::move(value)]() mutable {
                                std::move(handler)(std::move(value));
                            });
                    });
            },
            use_task);
    }

  private:
    asio::thread_pool pool_;
};

}  // namespace drover::platform

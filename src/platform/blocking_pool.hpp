// A bounded pool of threads for work that blocks or takes long: values in, values out.
#pragma once

#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Joined at destruction, which must come before that of the loop. run() is called on the loop.
class BlockingPool {
  public:
    explicit BlockingPool(std::size_t threads) : pool_(threads) {}
    ~BlockingPool() { pool_.join(); }
    BlockingPool(const BlockingPool&) = delete;
    BlockingPool& operator=(const BlockingPool&) = delete;

    /// Calls `work()` on a thread of the pool and resumes on the loop with the value that it
    /// returns; what it throws, this throws. `work` must own everything it touches. A caller that
    /// is cancelled meanwhile resumes when the work is done. See async.hpp on lambdas within
    /// co_await.
    template <typename Work>
    Task<std::invoke_result_t<Work>> run(Work work) {
        using Value = std::invoke_result_t<Work>;
        const Executor loop = co_await asio::this_coro::executor;
        const auto start = [this, loop, &work](auto handler) {
            // The guard keeps the loop running while the result is on its way.
            asio::post(pool_,
                       [guard = asio::make_work_guard(loop),
                        work = std::move(work),
                        handler = std::move(handler)]() mutable {
                           Outcome<Value> outcome;
                           try {
                               outcome.value.emplace(work());
                           } catch (...) {
                               outcome.failure = std::current_exception();
                           }
                           const Executor executor = guard.get_executor();
                           asio::post(executor,
                                      [handler = std::move(handler),
                                       outcome = std::move(outcome)]() mutable {
                                          std::move(handler)(std::move(outcome));
                                      });
                       });
        };
        auto outcome = co_await asio::async_initiate<const asio::use_awaitable_t<Executor>,
                                                     void(Outcome<Value>)>(start, use_task);
        if (outcome.failure != nullptr) {
            std::rethrow_exception(outcome.failure);
        }
        co_return *std::move(outcome.value);
    }

    /// Calls `work()` on a thread of the pool sometime; nobody waits for it.
    template <typename Work>
    void post(Work work) {
        asio::post(pool_, std::move(work));
    }

  private:
    template <typename Value>
    struct Outcome {
        std::optional<Value> value;
        std::exception_ptr failure;
    };

    asio::thread_pool pool_;
};

}  // namespace drover::platform

#include "platform/blocking_pool.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/this_coro.hpp>

namespace drover::platform {

Task<> BlockingPool::call(std::function<void()> work) {
    const Executor loop = co_await asio::this_coro::executor;
    const auto start = [this, loop, &work](auto handler) {
        // The guard keeps the loop running while the result is on its way.
        asio::post(pool_,
                   [guard = asio::make_work_guard(loop),
                    work = std::move(work),
                    handler = std::move(handler)]() mutable {
                       work();
                       const Executor executor = guard.get_executor();
                       asio::post(executor, [handler = std::move(handler)]() mutable {
                           std::move(handler)();
                       });
                   });
    };
    co_await asio::async_initiate<const asio::use_awaitable_t<Executor>, void()>(start, use_task);
}

}  // namespace drover::platform

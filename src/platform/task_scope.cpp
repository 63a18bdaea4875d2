#include "platform/task_scope.hpp"

#include <utility>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "base/assert.hpp"
#include "platform/log.hpp"

namespace drover::platform {

namespace {

/// A task that never waited is ended by Asio with one more co_await, which would throw in a
/// cancelled one, and then nobody would hear of the end.
Task<> shielded_at_its_end(Task<> task) {
    std::exception_ptr failure;
    try {
        co_await std::move(task);
    } catch (...) {
        failure = std::current_exception();
    }
    co_await shield();
    if (failure != nullptr) {
        std::rethrow_exception(failure);
    }
}

}  // namespace

Task<std::exception_ptr> cancellable(asio::cancellation_slot slot, Task<> task) {
    const Executor executor = co_await asio::this_coro::executor;
    const auto [failure] = co_await asio::co_spawn(
        executor, std::move(task), asio::bind_cancellation_slot(slot, as_result));
    co_return failure;
}

TaskScope::~TaskScope() {
    DROVER_ASSERT(tasks_.empty());
}

void TaskScope::start(std::string_view name, Task<> task) {
    const auto entry = tasks_.emplace(tasks_.end());
    asio::co_spawn(loop_,
                   shielded_at_its_end(std::move(task)),
                   asio::bind_cancellation_slot(
                       entry->slot(), [this, entry, name](const std::exception_ptr& failure) {
                           end(entry, name, failure);
                       }));
}

void TaskScope::cancel() {
    // A task that ends at once takes its entry out of the list, so walk over a copy of the places.
    std::vector<Tasks::iterator> entries;
    for (auto entry = tasks_.begin(); entry != tasks_.end(); ++entry) {
        entries.push_back(entry);
    }
    for (const auto entry : entries) {
        // Terminal: the only kind that a spawned coroutine honours by default. Delivery is posted,
        // so no entry goes away within this loop.
        entry->emit(asio::cancellation_type::terminal);
    }
}

Task<> TaskScope::join() {
    co_await shield();
    while (!tasks_.empty()) {
        co_await ended_.wait();
    }
}

void TaskScope::end(Tasks::iterator entry,
                    std::string_view name,
                    const std::exception_ptr& failure) {
    tasks_.erase(entry);
    if (failure != nullptr) {
        try {
            std::rethrow_exception(failure);
        } catch (const boost::system::system_error& error) {
            if (error.code() != asio::error::operation_aborted) {
                log::error("task.failed", {{"task", name}, {"error", error.what()}});
            }
        } catch (const std::exception& error) {
            log::error("task.failed", {{"task", name}, {"error", error.what()}});
        }
    }
    ended_.notify_all();
}

}  // namespace drover::platform

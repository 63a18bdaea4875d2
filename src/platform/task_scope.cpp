#include "platform/task_scope.hpp"

#include <vector>

#include "base/assert.hpp"
#include "platform/log.hpp"

namespace drover::platform {

TaskScope::~TaskScope() {
    DROVER_ASSERT(tasks_.empty());
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

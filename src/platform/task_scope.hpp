// A nursery for coroutines: whoever spawns one owns a scope, and a scope is empty before it dies.
// On the loop only.
#pragma once

#include <cstddef>
#include <string_view>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "platform/async.hpp"

namespace drover::platform {

/// Spawns, cancels and joins coroutines. An exception that leaves a task is logged with the task's
/// name and ends only that task. The destructor asserts that no task is left.
class TaskScope {
  public:
    explicit TaskScope(Loop& loop);
    ~TaskScope();
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;

    /// Starts `make()` (a callable that returns Task<>; it is kept alive as long as the task, so its
    /// captures are safe). `name` must be a literal. After cancel() the task starts cancelled.
    template <typename Make>
    void spawn(std::string_view name, Make make);

    /// Asks every task to end: its current and later waits fail with operation_aborted.
    void cancel();

    /// Returns when all tasks have ended. Works in a coroutine that is itself cancelled.
    Task<> join();

    std::size_t size() const;
};

}  // namespace drover::platform

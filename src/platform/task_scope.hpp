// A nursery for coroutines: whoever spawns one owns a scope, and a scope is empty before it dies.
// On the loop only.
#pragma once

#include <cstddef>
#include <exception>
#include <list>
#include <string_view>
#include <utility>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/this_coro.hpp>

#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::platform {

/// `co_await shield()` protects the calling coroutine from cancellation from now on, also when it
/// was cancelled already: clean-up that must wait begins with it. It cannot be a coroutine itself:
/// in a cancelled one, every co_await of an operation or of a Task throws, a Task's before its
/// first line.
inline auto shield() {
    return asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
}

/// Waits for `task` as a coroutine of its own, because only one that is spawned can be cancelled
/// alone: through `slot`. Returns what it threw, null: nothing.
Task<std::exception_ptr> cancellable(asio::cancellation_slot slot, Task<> task);

/// Spawns, cancels and joins coroutines. An exception that leaves a task is logged with the task's
/// name and ends only that task. The destructor asserts that no task is left.
class TaskScope {
  public:
    explicit TaskScope(Loop& loop) : loop_(loop), ended_(loop) {}
    ~TaskScope();
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;

    /// Starts `make()`, a callable that returns Task<>; it lives as long as the task, so its
    /// captures are safe. The task runs at once up to its first wait. `name` must outlive it (a
    /// literal).
    template <typename Make>
    void spawn(std::string_view name, Make make) {
        start(name, run(std::move(make)));
    }

    /// Asks every task to end: its current wait fails with operation_aborted and its next one
    /// throws, so a task unwinds and its destructors clean up.
    void cancel();

    /// Returns when all tasks have ended, even if the calling coroutine is cancelled meanwhile, and
    /// shields it. A caller that may have been cancelled before says `co_await shield()` first, or
    /// this throws.
    Task<> join();

    std::size_t size() const { return tasks_.size(); }

  private:
    using Tasks = std::list<boost::asio::cancellation_signal>;

    template <typename Make>
    static Task<> run(Make make) {
        co_await make();
    }

    void start(std::string_view name, Task<> task);
    void end(Tasks::iterator entry, std::string_view name, const std::exception_ptr& failure);

    Loop& loop_;
    Tasks tasks_;
    Notifier ended_;
};

}  // namespace drover::platform

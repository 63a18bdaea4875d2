// A nursery for coroutines: whoever spawns one owns a scope, and a scope is empty before it dies.
// On the loop only.
#pragma once

#include <cstddef>
#include <exception>
#include <list>
#include <string_view>
#include <utility>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>

#include "platform/async.hpp"
#include "platform/notifier.hpp"

namespace drover::platform {

/// Protects the calling coroutine from cancellation from now on, also when it was cancelled already:
/// clean-up that must wait begins with it.
Task<> shield();

/// Spawns, cancels and joins coroutines. An exception that leaves a task is logged with the task's
/// name and ends only that task. The destructor asserts that no task is left.
class TaskScope {
  public:
    explicit TaskScope(Loop& loop) : loop_(loop), ended_(loop) {}
    ~TaskScope();
    TaskScope(const TaskScope&) = delete;
    TaskScope& operator=(const TaskScope&) = delete;

    /// Starts `make()`, a callable that returns Task<>; it lives as long as the task, so its captures
    /// are safe. `name` must outlive the task (a literal).
    template <typename Make>
    void spawn(std::string_view name, Make make) {
        const auto entry = tasks_.emplace(tasks_.end());
        boost::asio::co_spawn(
            loop_,
            std::move(make),
            boost::asio::bind_cancellation_slot(
                entry->slot(), [this, entry, name](const std::exception_ptr& failure) {
                    end(entry, name, failure);
                }));
    }

    /// Asks every task to end: its current wait fails with operation_aborted and its next one throws,
    /// so a task unwinds and its destructors clean up.
    void cancel();

    /// Returns when all tasks have ended, even if the calling coroutine is cancelled meanwhile.
    Task<> join();

    std::size_t size() const { return tasks_.size(); }

  private:
    using Tasks = std::list<boost::asio::cancellation_signal>;

    void end(Tasks::iterator entry, std::string_view name, const std::exception_ptr& failure);

    Loop& loop_;
    Tasks tasks_;
    Notifier ended_;
};

}  // namespace drover::platform

// Lets coroutines wait until something has happened. On the loop only.
#pragma once

#include <list>

#include "platform/async.hpp"

namespace drover::platform {

/// A condition variable for coroutines: a waiter re-checks its condition after every wake-up. Must
/// outlive its waiters.
class Notifier {
  public:
    explicit Notifier(Loop& loop) : loop_(loop) {}
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    /// Wakes everybody who waits now.
    void notify_all() {
        for (Timer* waiter : waiters_) {
            waiter->cancel();
        }
    }

    /// Returns at the next notify_all(), or when the calling coroutine is cancelled.
    Task<> wait() { return wait_until(Timer::time_point::max()); }

    /// The same, but at `deadline` at the latest.
    Task<> wait_until(Timer::time_point deadline) {
        Timer timer(loop_, deadline);
        const Entry entry(waiters_, timer);
        co_await timer.async_wait(as_result);
    }

  private:
    /// Keeps a waiter in the list as long as it waits.
    class Entry {
      public:
        Entry(std::list<Timer*>& list, Timer& timer)
            : list_(list), place_(list.insert(list.end(), &timer)) {}
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry() { list_.erase(place_); }

      private:
        std::list<Timer*>& list_;
        std::list<Timer*>::iterator place_;
    };

    Loop& loop_;
    std::list<Timer*> waiters_;
};

}  // namespace drover::platform

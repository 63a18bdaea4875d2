// Resumes one waiting coroutine from a callback, without a timer. On the loop only.
#pragma once

#include <optional>
#include <utility>

#include "platform/async.hpp"

namespace drover::gateway {

/// One coroutine waits, anything else on the loop wakes it. Unlike platform::Notifier it knows no
/// deadline and no cancellation and costs no timer: sessions wait on it for every request, and
/// whoever ends a session wakes it.
class Wake {
  public:
    bool waiting() const { return waiter_.has_value(); }

    /// Returns at the next notify(). REQUIRES: nobody waits.
    platform::Task<> wait() {
        return platform::asio::async_initiate<const Token&, void()>(
            [this](auto&& handler) { waiter_.emplace(std::move(handler)); }, platform::use_task);
    }

    /// Resumes the waiter, if any, before it returns: the caller must expect a changed world.
    void notify() {
        if (waiter_.has_value()) {
            Handler handler = std::move(*waiter_);
            waiter_.reset();
            std::move(handler)();
        }
    }

  private:
    using Token = platform::asio::use_awaitable_t<platform::Executor>;
    using Handler = platform::asio::async_result<Token, void()>::handler_type;

    std::optional<Handler> waiter_;
};

}  // namespace drover::gateway

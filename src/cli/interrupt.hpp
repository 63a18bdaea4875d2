// Ctrl-C as something to ask for, so that a command can end in order.
#pragma once

#include <atomic>
#include <csignal>

namespace drover::cli {

/// As long as this lives, Ctrl-C only makes interrupted() true. One at a time.
class InterruptGuard {
  public:
    InterruptGuard() {
        flag() = false;
        struct sigaction action {};
        action.sa_handler = [](int) {
            flag() = true;
        };
        ::sigaction(SIGINT, &action, &before_);
    }
    InterruptGuard(const InterruptGuard&) = delete;
    InterruptGuard& operator=(const InterruptGuard&) = delete;
    ~InterruptGuard() { ::sigaction(SIGINT, &before_, nullptr); }

    static bool interrupted() { return flag(); }

  private:
    static std::atomic<bool>& flag() {
        static std::atomic<bool> interrupted{false};
        return interrupted;
    }

    struct sigaction before_ {};
};

}  // namespace drover::cli

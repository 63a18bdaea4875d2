#include "platform/stop_signals.hpp"

#include <csignal>

namespace drover::platform {

StopSignals::StopSignals(Loop& loop) : signals_(loop, SIGINT, SIGTERM) {}

Task<int> StopSignals::wait() {
    const auto [error, number] = co_await signals_.async_wait(as_result);
    co_return error ? 0 : number;
}

void ignore_broken_pipes() {
    ::signal(SIGPIPE, SIG_IGN);
}

}  // namespace drover::platform

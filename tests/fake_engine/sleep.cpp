// Falling asleep and waking up.
#include <csignal>

#include <poll.h>

#include "server.hpp"

namespace drover::fake {

void Server::sleep_if_asked() {
    if (sleep_asked_ == 0 || !ready_ || behaviour_.sleepless) {
        return;
    }
    if (behaviour_.sleep_crash) {
        std::raise(SIGSEGV);
    }
    sleep_asked_ = 0;
    asleep_ = true;
    weights_ = std::string(behaviour_.sleep_keeps_mib << 20, 'k');
    grown_.clear();
}

void Server::wake() {
    if (behaviour_.wake_crash) {
        std::raise(SIGSEGV);
    }
    asleep_ = false;
    ::poll(nullptr, 0, behaviour_.wake_ms);
    set_ready();
}

}  // namespace drover::fake

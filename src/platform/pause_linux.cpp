#include <algorithm>

#include <poll.h>

#include "platform/pause.hpp"

namespace drover::platform {

bool pause(std::chrono::milliseconds duration, const std::function<bool()>& stopped) {
    constexpr std::chrono::milliseconds kStep{100};
    while (duration.count() > 0) {
        if (stopped && stopped()) {
            return false;
        }
        const auto step = std::min(duration, kStep);
        ::poll(nullptr, 0, static_cast<int>(step.count()));
        duration -= step;
    }
    return !(stopped && stopped());
}

}  // namespace drover::platform

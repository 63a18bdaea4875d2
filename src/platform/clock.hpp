// The clock; the only place that reads it. Any thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace drover::platform {

/// Monotonic time. Pure code takes it as an argument instead.
inline TimePoint now() {
    return std::chrono::steady_clock::now();
}

/// What has passed, in whole milliseconds.
inline std::chrono::milliseconds since(TimePoint when) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(now() - when);
}

/// Milliseconds since 1970, for people and for other programs; never for measuring.
inline std::int64_t wall_clock_ms() {
    const auto passed = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::milliseconds>(passed).count();
}

}  // namespace drover::platform

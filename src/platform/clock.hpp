// The clock; the only place that reads it. Any thread.
#pragma once

#include "base/units.hpp"

namespace drover::platform {

/// Monotonic time. Pure code takes it as an argument instead.
inline TimePoint now() {
    return std::chrono::steady_clock::now();
}

}  // namespace drover::platform

// Times as they are told to people and to clients. Pure; any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace drover::control {

/// When a request that waited too long may come back.
inline constexpr std::chrono::seconds kRetryAfterTimeout{10};

inline std::int64_t milliseconds_of(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

/// Rounded up, and at least one.
inline std::chrono::seconds whole_seconds(Duration duration) {
    return std::max(std::chrono::ceil<std::chrono::seconds>(duration), std::chrono::seconds(1));
}

}  // namespace drover::control

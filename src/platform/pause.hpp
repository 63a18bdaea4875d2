// Lets a thread that may block wait for time to pass. Never on the loop.
#pragma once

#include <chrono>
#include <functional>

namespace drover::platform {

/// Blocks for `duration`, or until `stopped`, asked several times a second, says true. False when
/// it was stopped.
bool pause(std::chrono::milliseconds duration, const std::function<bool()>& stopped);

}  // namespace drover::platform

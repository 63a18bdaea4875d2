// What clients are told when the server is about to end. Pure; any thread.
#pragma once

#include <chrono>

#include "base/error.hpp"

namespace drover::control {

/// As a rule somebody starts it again, which takes as long.
inline constexpr std::chrono::seconds kRestartGuess{5};

inline Error server_stopping() {
    return {ErrorCode::unavailable, "the server is stopping", kRestartGuess};
}

}  // namespace drover::control

// What nobody else has: keys and ports. Any thread.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"

namespace drover::platform {

/// 64 hexadecimal digits from the kernel's random numbers: a key that nobody can guess.
std::string random_key();

/// A TCP port of 127.0.0.1 that nobody listens on at the moment. Somebody else may take it before
/// it is used: whoever can, listens on a UNIX socket instead. `io_error`: there is none.
Result<std::uint16_t> free_port();

}  // namespace drover::platform

// What the operating system refused, as an error. Any thread.
#pragma once

#include <string>
#include <system_error>

#include "base/error.hpp"

namespace drover::platform {

/// `io_error`: "WHAT: the system's words for `number`", an errno.
inline Error os_error(const std::string& what, int number) {
    return {ErrorCode::io_error, what + ": " + std::generic_category().message(number)};
}

}  // namespace drover::platform

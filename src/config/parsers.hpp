// Texts of settings that need more than a number's or a size's reading. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace drover::config {

/// A type of cached keys or values as the engine spells it. `invalid_argument` lists them.
Result<std::string> parse_cache_type(std::string_view text);

/// "https://HOST" or "http://HOST", without a slash at its end.
Result<std::string> parse_web_address(std::string_view text);

}  // namespace drover::config

// Which known names are like a mistyped one. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace drover {

/// Up to `limit` of `names` that look like `wanted`, nearest first.
std::vector<std::string> nearest_names(std::string_view wanted,
                                       const std::vector<std::string>& names,
                                       std::size_t limit);

}  // namespace drover

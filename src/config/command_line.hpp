// Command lines as people write them in files. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace drover::config {

/// The words of `text`, as a shell splits them: blanks and line ends separate; quotes and
/// backslashes hold together; a backslash at a line's end continues it. Nothing is expanded and no
/// shell is asked. `invalid_argument`: a quote is not closed.
Result<std::vector<std::string>> split_command(std::string_view text);

}  // namespace drover::config

// One health check of an engine over its UNIX socket. On the loop only.
#pragma once

#include <filesystem>
#include <string>

#include "base/units.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// True when a GET of `path` answers 200 by `deadline`; false for everything else.
platform::Task<bool> is_healthy(platform::Loop& loop,
                                std::filesystem::path socket,
                                std::string path,
                                TimePoint deadline);

}  // namespace drover::engines

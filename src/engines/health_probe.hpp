// One health check of an engine. On the loop only.
#pragma once

#include <string>

#include "base/units.hpp"
#include "engines/endpoint.hpp"
#include "platform/async.hpp"

namespace drover::engines {

/// True when a GET of `path` answers 200 by `deadline`; false for everything else. REQUIRES:
/// `endpoint` stays until it returns.
platform::Task<bool> is_healthy(platform::Loop& loop,
                                const Endpoint& endpoint,
                                std::string path,
                                TimePoint deadline);

}  // namespace drover::engines

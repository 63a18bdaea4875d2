// One request of Drover's own to an engine, and its whole answer. On the loop only.
#pragma once

#include <string>

#include "base/result.hpp"
#include "base/units.hpp"
#include "engines/endpoint.hpp"
#include "platform/async.hpp"

namespace drover::engines {

struct HttpQuestion {
    std::string method = "GET";
    std::string path;    ///< see Endpoint::append_target
    std::string body{};  ///< JSON
};

struct HttpAnswer {
    unsigned status = 0;
    std::string body;
};

/// Asks over a connection of its own, so that the question waits behind nobody's. Errors: those of
/// engines::connect(), `timeout` at the deadline, `engine_failed` when the answer breaks off, is
/// not HTTP, or is larger than anything that Drover asks for. REQUIRES: `endpoint` stays until it
/// returns.
platform::Task<Result<HttpAnswer>> http_call(platform::Loop& loop,
                                             const Endpoint& endpoint,
                                             HttpQuestion question,
                                             TimePoint deadline);

}  // namespace drover::engines

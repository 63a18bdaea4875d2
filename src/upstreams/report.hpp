// What became of a request at a server, as far as it matters for the next ones. Plain values.
#pragma once

#include <optional>
#include <string>

#include "base/units.hpp"

namespace drover::upstreams {

/// What became of a request.
enum class Outcome {
    served,
    failed,       ///< no connection, no answer, half an answer, or a server's error
    pushed_back,  ///< the server has too much to do
    unknown       ///< the client left, or the fault is the request's own
};

struct Report {
    Outcome outcome = Outcome::unknown;
    Duration first_byte{};           ///< of a served one; 0: not known
    std::optional<Duration> rest{};  ///< how long the server wants to be left alone
    std::string cause{};             ///< of a failure, for people
};

}  // namespace drover::upstreams

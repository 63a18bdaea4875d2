// Images and sounds that clients send as base64. Pure; any thread.
#pragma once

#include <string_view>

#include <boost/json/object.hpp>

#include "base/result.hpp"

namespace drover::gateway::dialect {

/// The part of an OpenAI message for `base64`, which may be a data URL already: what it is follows
/// from its first bytes. `invalid_argument` when it is not base64.
Result<boost::json::object> media_part(std::string_view base64);

}  // namespace drover::gateway::dialect

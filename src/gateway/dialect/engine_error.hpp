// An engine's complaint in the words of the client's API. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "gateway/dialect.hpp"

namespace drover::gateway::dialect {

/// What the client gets instead of an engine's error.
struct EngineError {
    unsigned status = 500;
    std::string body;
};

/// Puts llama-server's `{"error": {"code", "message", "type"}}` into the shape that clients of
/// `dialect` expect; a body that is not of this form stays as it is. What an engine cannot do (501)
/// is the request's fault here (400): client libraries would repeat it otherwise.
EngineError translate_engine_error(Dialect dialect, unsigned status, std::string_view body);

}  // namespace drover::gateway::dialect

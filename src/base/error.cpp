#include "base/error.hpp"

#include "base/assert.hpp"

namespace drover {

std::string_view to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument:
            return "invalid_argument";
        case ErrorCode::unauthorized:
            return "unauthorized";
        case ErrorCode::not_found:
            return "not_found";
        case ErrorCode::too_large:
            return "too_large";
        case ErrorCode::overloaded:
            return "overloaded";
        case ErrorCode::insufficient_memory:
            return "insufficient_memory";
        case ErrorCode::unavailable:
            return "unavailable";
        case ErrorCode::timeout:
            return "timeout";
        case ErrorCode::cancelled:
            return "cancelled";
        case ErrorCode::engine_failed:
            return "engine_failed";
        case ErrorCode::io_error:
            return "io_error";
        case ErrorCode::internal:
            return "internal";
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover

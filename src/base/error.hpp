// What can go wrong, as a value. Pure; any thread.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace drover {

/// Closed set of failures. Code branches on these and never on a message.
enum class ErrorCode {
    invalid_argument,     ///< the client sent something that cannot be understood
    unauthorized,         ///< key missing or wrong
    not_found,            ///< no such model, file or route
    too_large,            ///< over a size limit of ours
    overloaded,           ///< a bounded queue is full; try again later
    insufficient_memory,  ///< can never fit into the budget
    unavailable,          ///< not now: stopping, or backing off after failures
    timeout,              ///< a deadline passed
    cancelled,            ///< the client left
    engine_failed,        ///< the engine crashed, hung or spoke garbage
    io_error,             ///< the operating system refused
    internal,             ///< a bug of ours
};

/// The code's own name, for logs: `ErrorCode::not_found` -> "not_found".
std::string_view to_string(ErrorCode code);

/// An expected failure: a code to branch on and a message for a person.
struct [[nodiscard]] Error {
    ErrorCode code = ErrorCode::internal;
    std::string message;
    std::optional<std::chrono::seconds> retry_after{};

    /// The same error with what was being attempted in front: "loading smol: no such file".
    Error with(std::string_view context) const {
        Error error = *this;
        error.message = std::string(context) + ": " + message;
        return error;
    }
};

/// What was given cannot be understood: `message` says why.
inline Error invalid(std::string message) {
    return {ErrorCode::invalid_argument, std::move(message)};
}

}  // namespace drover

// The status codes of HTTP that code branches on.
#pragma once

namespace drover::gateway {

inline constexpr unsigned kHttpOk = 200;
inline constexpr unsigned kHttpBadRequest = 400;  ///< the first of the client's errors
inline constexpr unsigned kHttpUnauthorized = 401;
inline constexpr unsigned kHttpForbidden = 403;
inline constexpr unsigned kHttpNotFound = 404;
inline constexpr unsigned kHttpNotAllowed = 405;
inline constexpr unsigned kHttpTooLarge = 413;
inline constexpr unsigned kHttpTooManyRequests = 429;
inline constexpr unsigned kHttpServerError = 500;  ///< the first of the server's errors
inline constexpr unsigned kHttpNotImplemented = 501;
inline constexpr unsigned kHttpUnavailable = 503;
inline constexpr unsigned kHttpGatewayTimeout = 504;

}  // namespace drover::gateway

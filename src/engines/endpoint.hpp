// Where an engine listens, and what a request to it must say. Plain values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "base/secret.hpp"

namespace drover::engines {

class TlsTrust;

enum class Transport {
    unix_socket,
    tcp,
    tls
};

struct Endpoint {
    Transport transport = Transport::unix_socket;
    std::filesystem::path socket{};  ///< of unix_socket
    std::string host{};              ///< of tcp and tls: a name or an address, without brackets
    std::uint16_t port = 0;
    std::string authority = "engine";   ///< what Host says
    std::string api_base = "/v1";       ///< what a path has in place of "/v1"
    Secret authorization{};             ///< value of the header; empty: none is sent
    std::shared_ptr<TlsTrust> trust{};  ///< of tls: never null then

    static Endpoint at_socket(std::filesystem::path socket);

    /// From an OpenAI client's base URL: "http://host:8000/v1", "https://host/v1". One without a
    /// path means the one with "/v1". `trust` is still to be set for tls. `invalid_argument` says
    /// what is wrong with it; a URL with a user or a password in it is refused unseen.
    static Result<Endpoint> parse(std::string_view url);

    /// "http://host:8000/v1", or the socket's path. For people; without the key.
    std::string text() const;

    /// Appends what stands in the request line for `path`, which is one of the engine's:
    /// "/v1/models", "/health".
    void append_target(std::string& head, std::string_view path) const;

    /// Appends the header lines that every request to it has.
    void append_headers(std::string& head) const;
};

}  // namespace drover::engines

// Network addresses as text. Pure; any thread.
#pragma once

#include <cstdint>
#include <string>

namespace drover {

/// "127.0.0.1:11435", "[::1]:11435".
inline std::string join_address(const std::string& host, std::uint16_t port) {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace drover

// The hosts that URLs and headers name. Pure; any thread.
#pragma once

#include <string_view>

namespace drover {

/// "host:port", "[::1]:port" or "host" without the port.
std::string_view without_port(std::string_view host);

/// Whether it is an address rather than a name that somebody's DNS answers for: in brackets, or its
/// last label is a number, with which no DNS name ends.
bool is_ip_address(std::string_view host);

/// Whether it is nobody but this machine: localhost and names below it (RFC 6761), 127.0.0.0/8,
/// ::1.
bool is_loopback(std::string_view host);

}  // namespace drover

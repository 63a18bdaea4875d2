#include "base/host.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace drover {

std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) {
        return host.substr(0, host.find(']') + 1);
    }
    return host.substr(0, host.rfind(':'));
}

bool is_ip_address(std::string_view host) {
    if (host.starts_with('[')) {
        return true;
    }
    const std::string_view last = host.substr(host.rfind('.') + 1);
    return !last.empty() && std::all_of(last.begin(), last.end(), is_digit);
}

bool is_loopback(std::string_view host) {
    const bool numeric =
        std::all_of(host.begin(), host.end(), [](char c) { return is_digit(c) || c == '.'; });
    return equals_ignoring_case(host, "localhost") || ends_with_ignoring_case(host, ".localhost") ||
           (numeric && host.starts_with("127.")) || host == "::1" || host == "[::1]";
}

}  // namespace drover

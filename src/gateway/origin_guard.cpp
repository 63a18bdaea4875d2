#include "gateway/origin_guard.hpp"

#include <algorithm>

#include "base/host.hpp"
#include "base/text.hpp"

namespace drover::gateway {

namespace {

/// "*" in the pattern stands for any text. Takes at most text x pattern steps.
bool matches(std::string_view text, std::string_view pattern) {
    std::size_t at = 0;
    std::size_t in_pattern = 0;
    std::size_t star = std::string_view::npos;
    std::size_t retry = 0;
    while (at < text.size()) {
        if (in_pattern < pattern.size() && pattern[in_pattern] == '*') {
            star = in_pattern++;
            retry = at;
        } else if (in_pattern < pattern.size() && pattern[in_pattern] == text[at]) {
            ++in_pattern;
            ++at;
        } else if (star != std::string_view::npos) {
            in_pattern = star + 1;
            at = ++retry;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('*', in_pattern) == std::string_view::npos;
}

}  // namespace

bool host_is_local(std::string_view host) {
    std::string_view name = without_port(host);
    if (name.ends_with('.')) {
        name.remove_suffix(1);
    }
    return name.empty() || is_ip_address(name) || is_loopback(name) ||
           ends_with_ignoring_case(name, ".local") || ends_with_ignoring_case(name, ".internal");
}

bool origin_is_allowed(std::string_view origin,
                       std::string_view host,
                       const std::vector<std::string>& allowed) {
    if (std::any_of(allowed.begin(), allowed.end(), [&](const std::string& pattern) {
            return matches(origin, pattern);
        })) {
        return true;
    }
    const std::size_t scheme_end = origin.find("://");
    if (scheme_end == std::string_view::npos) {
        return origin.empty();
    }
    const std::string_view scheme = origin.substr(0, scheme_end);
    if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https")) {
        return true;
    }
    const std::string_view authority = origin.substr(scheme_end + 3);
    return equals_ignoring_case(authority, host) || is_loopback(without_port(authority));
}

}  // namespace drover::gateway

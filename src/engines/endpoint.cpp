#include "engines/endpoint.hpp"

#include <utility>

#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>

namespace drover::engines {

namespace {

constexpr std::string_view kVersion = "/v1";
constexpr std::uint16_t kHttpPort = 80;
constexpr std::uint16_t kHttpsPort = 443;

Error bad(std::string_view what) {
    return {ErrorCode::invalid_argument,
            std::string(what) + "; write for instance http://10.0.0.5:8000 or https://HOST/v1"};
}

}  // namespace

Endpoint Endpoint::at_socket(std::filesystem::path socket) {
    return {.transport = Transport::unix_socket, .socket = std::move(socket)};
}

Result<Endpoint> Endpoint::parse(std::string_view url) {
    const auto parsed = boost::urls::parse_uri({url.data(), url.size()});
    if (!parsed) {
        return bad("this is not a URL");
    }
    if (parsed->has_userinfo()) {
        return bad("a URL takes no user and no password; set key_env or key_file");
    }
    const bool tls = parsed->scheme_id() == boost::urls::scheme::https;
    if (!tls && parsed->scheme_id() != boost::urls::scheme::http) {
        return bad("the URL must begin with http:// or https://");
    }
    if (parsed->has_query() || parsed->has_fragment()) {
        return bad("the URL takes no '?' and no '#'");
    }
    if (parsed->host_address().empty() || (parsed->has_port() && parsed->port_number() == 0)) {
        return bad("the URL needs a host, and a port that is a number up to 65535 if any");
    }
    Endpoint endpoint{.transport = tls ? Transport::tls : Transport::tcp};
    endpoint.host = parsed->host_address();
    endpoint.port = parsed->has_port() ? parsed->port_number() : tls ? kHttpsPort : kHttpPort;
    endpoint.authority.assign(parsed->encoded_host_and_port().data(),
                              parsed->encoded_host_and_port().size());
    std::string path(parsed->encoded_path().data(), parsed->encoded_path().size());
    while (path.ends_with('/')) {
        path.pop_back();
    }
    endpoint.api_base = path.empty() ? std::string(kVersion) : std::move(path);
    return endpoint;
}

std::string Endpoint::text() const {
    switch (transport) {
        case Transport::unix_socket:
            return socket.string();
        case Transport::tcp:
            return "http://" + authority + api_base;
        case Transport::tls:
            return "https://" + authority + api_base;
    }
    return {};
}

void Endpoint::append_target(std::string& head, std::string_view path) const {
    std::string_view prefix = api_base;
    if (path.starts_with(kVersion)) {
        path.remove_prefix(kVersion.size());
    } else {
        // Beside the API: "/health" of "/drover/v1" is "/drover/health".
        prefix.remove_suffix(prefix.ends_with(kVersion) ? kVersion.size() : prefix.size());
    }
    head.append(prefix).append(path);
}

void Endpoint::append_headers(std::string& head) const {
    head.append("Host: ").append(authority).append("\r\n");
    if (!authorization.empty()) {
        head.append("Authorization: ").append(authorization.reveal()).append("\r\n");
    }
}

}  // namespace drover::engines

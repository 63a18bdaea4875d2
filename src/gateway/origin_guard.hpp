// Keeps web pages from using a Drover that listens on this machine only. Pure; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace drover::gateway {

/// Whether a request with this Host header may reach a server that listens on loopback. A page can
/// make its own name resolve to 127.0.0.1 (DNS rebinding), but it cannot make the browser send
/// another name: IP addresses, localhost, and names that no public DNS has (.localhost, .local,
/// .internal) pass, as does no Host at all.
bool host_is_local(std::string_view host);

/// Whether a request with this Origin header may change anything. Only browsers send one. The same
/// host, pages served from this machine, and applications that are not web pages (app:, file:,
/// vscode-webview: ...) pass; other pages and "null" do not, unless one of `allowed` names them
/// ("*" in it stands for anything).
bool origin_is_allowed(std::string_view origin,
                       std::string_view host,
                       const std::vector<std::string>& allowed);

}  // namespace drover::gateway

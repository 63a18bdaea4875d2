#include "config/ollama_environment.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace drover::config {

namespace {

Result<std::string> as_it_is(std::string_view text) {
    return std::string(text);
}

/// Zero stands for "decide yourself".
Result<std::string> unless_zero(std::string_view text) {
    return std::string(text == "0" ? std::string_view() : text);
}

Result<std::string> nothing(std::string_view) {
    return std::string();
}

/// "1" and "0" besides "true" and "false", as Go reads them.
Result<std::string> flag(std::string_view text) {
    const std::string lower = to_lower(text);
    if (lower == "1" || lower == "t") {
        return std::string("true");
    }
    return lower == "0" || lower == "f" ? std::string("false") : lower;
}

/// "host", "host:port", "http://host:port/path" or ":port". Without a port it is Ollama's, whose
/// clients read the same variable.
Result<std::string> address(std::string_view text) {
    std::string_view port = "11434";
    for (const auto& [scheme, own_port] :
         {std::pair<std::string_view, std::string_view>{"http://", "80"}, {"https://", "443"}}) {
        if (text.starts_with(scheme)) {
            text.remove_prefix(scheme.size());
            port = own_port;
        }
    }
    text = text.substr(0, text.find('/'));
    const bool bracketed = text.starts_with('[');
    const std::size_t after = bracketed ? std::min(text.find(']'), text.size() - 1) + 1 : 0;
    const std::size_t colon = text.find(':', after);
    std::string host(text.substr(0, colon));
    if (colon != std::string_view::npos) {
        const std::string_view rest = text.substr(colon + 1);
        if (!bracketed && rest.find(':') != std::string_view::npos) {
            host = "[" + std::string(text) + "]";  // a bare IPv6 address
        } else {
            port = rest;
        }
    }
    return (host.empty() ? "127.0.0.1" : host) + ":" + std::string(port);
}

}  // namespace

const std::vector<OllamaVariable>& ollama_variables() {
    static const std::vector<OllamaVariable> kVariables{
        {"OLLAMA_HOST", {"listen"}, "address; the port is 11434 unless it names one", address},
        {"OLLAMA_ORIGINS", {"origins"}, "pages that may use the server", as_it_is},
        {"OLLAMA_KEEP_ALIVE", {"defaults.keep_alive"}, "how long an idle model stays", as_it_is},
        {"OLLAMA_CONTEXT_LENGTH", {"defaults.context"}, "tokens of a request", unless_zero},
        {"OLLAMA_NUM_PARALLEL", {"defaults.parallel"}, "requests at once", unless_zero},
        {"OLLAMA_MAX_QUEUE", {"defaults.queue"}, "requests that wait, for each model", unless_zero},
        {"OLLAMA_KV_CACHE_TYPE",
         {"defaults.cache_type_k", "defaults.cache_type_v"},
         "type of the cache",
         as_it_is},
        {"OLLAMA_FLASH_ATTENTION", {"defaults.flash_attention"}, "flash attention", flag},
        {"OLLAMA_LOAD_TIMEOUT", {"engine.load_timeout"}, "longest load", unless_zero},
        {"OLLAMA_MAX_LOADED_MODELS",
         {"memory.max_models"},
         "models in memory at once",
         unless_zero},
        {"OLLAMA_GPU_OVERHEAD", {}, "not honoured: memory.reserve is what is left free", nothing},
    };
    return kVariables;
}

}  // namespace drover::config

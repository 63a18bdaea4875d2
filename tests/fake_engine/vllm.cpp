// What vLLM does that llama-server does not: its key and names, its sleep mode, and its paths.
#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <string_view>

#include <poll.h>

#include "server.hpp"

namespace drover::fake {

namespace {

/// vLLM has no others of those that Drover may ask for.
bool is_vllm_path(std::string_view path) {
    constexpr std::array<std::string_view, 17> kPaths{"/detokenize",
                                                      "/metrics",
                                                      "/pooling",
                                                      "/rerank",
                                                      "/score",
                                                      "/tokenize",
                                                      "/v1/audio/transcriptions",
                                                      "/v1/chat/completions",
                                                      "/v1/completions",
                                                      "/v1/embeddings",
                                                      "/v1/messages",
                                                      "/v1/messages/count_tokens",
                                                      "/v1/models",
                                                      "/v1/rerank",
                                                      "/v1/responses",
                                                      "/v1/score",
                                                      "/v2/rerank"};
    return std::find(kPaths.begin(), kPaths.end(), path) != kPaths.end();
}

/// vLLM asks for its key under some prefixes only.
bool is_guarded(std::string_view path) {
    constexpr std::array<std::string_view, 4> kGuarded{"/v1", "/v2", "/inference", "/cohere"};
    return std::any_of(kGuarded.begin(), kGuarded.end(), [path](std::string_view prefix) {
        return path.starts_with(prefix);
    });
}

/// What vLLM finds wrong with a body that llama-server would take; empty: nothing.
std::string_view vllm_complaint(const Request& request, bool tools) {
    const std::string_view body = request.body;
    const std::string_view choice = json_field(body, "\"tool_choice\"");
    if (request.path == "/v1/chat/completions" && !tools &&
        !json_field(body, "\"tools\"").empty() && (choice.empty() || choice == "auto")) {
        return R"("auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set)";
    }
    const std::string_view prompt = json_field(body, "\"prompt\"");
    const std::string_view list =
        prompt.starts_with('[') ? body.substr(static_cast<std::size_t>(prompt.data() - body.data()))
                                : std::string_view();
    const std::string_view inside = list.substr(0, list.find(']'));
    const auto first = inside.find_first_not_of("[ ");
    if (first != std::string_view::npos && inside[first] != '"' &&
        inside.find('"') != std::string_view::npos) {
        return "a prompt is a text or a list of tokens";
    }
    return "";
}

}  // namespace

/// Answers a request without the key, of another type, or for a model that is not served, as vLLM
/// does.
bool Server::refuse(Connection& connection, const Request& request) {
    const bool guarded = served_.empty() || is_guarded(request.path);
    if (!key_.empty() && guarded && request.authorization != "Bearer " + key_) {
        answer(connection, 401, R"({"error":"Unauthorized"})");
        return true;
    }
    const bool typed = request.content_type.starts_with("application/json") ||
                       request.content_type.starts_with("multipart/");
    if (!served_.empty() && !request.body.empty() && !typed) {
        answer(
            connection,
            400,
            error_body(
                400, "Unsupported Media Type: Only 'application/json' is allowed", "Bad Request"));
        return true;
    }
    const std::string_view model = json_field(request.body, "\"model\"");
    if (!served_.empty() && !model.empty() &&
        std::find(served_.begin(), served_.end(), model) == served_.end()) {
        answer(connection,
               404,
               error_body(
                   404, "The model `" + std::string(model) + "` does not exist.", "NotFoundError"));
        return true;
    }
    return false;
}

/// Answers what belongs to vLLM's sleep mode, and what comes while it wakes up. As there, a request
/// that needs what is not in memory ends the process.
bool Server::serve_vllm_sleep(Connection& connection, const Request& request) {
    if (!vllm_.mode) {
        return false;
    }
    const bool sleep = request.path == "/sleep";
    const bool wake = request.path == "/wake_up";
    if ((sleep || wake) && behaviour_.sleep_fails) {
        answer(connection, 500, error_body(500, "fake failure", "server_error"));
    } else if (sleep) {
        sleep_as_vllm(request.query);
        answer(connection, 200, "");
    } else if (wake) {
        wake_as_vllm(request.query);
        answer(connection, 200, "");
    } else if (request.path == "/collective_rpc") {
        vllm_.right = vllm_.right || (vllm_.weights && request.body.find("reload_weights") !=
                                                           std::string_view::npos);
        answer(connection, 200, R"({"results":[null]})");
    } else if (request.path == "/is_sleeping") {
        answer(connection,
               200,
               vllm_.awake() ? R"({"is_sleeping":false})" : R"({"is_sleeping":true})");
    } else if (Clock::now() < vllm_.busy_until) {
        answer(connection, 503, error_body(503, "waking up", "unavailable_error"));
    } else if (request.path == "/metrics" || request.path == "/v1/models") {
        return false;
    } else if (!vllm_.awake() || !vllm_.right) {
        std::raise(SIGSEGV);
    } else {
        return false;
    }
    return true;
}

bool Server::serve_as_vllm(Connection& connection, const Request& request) {
    if (served_.empty() || serve_vllm_sleep(connection, request)) {
        return !served_.empty();
    }
    if (!is_vllm_path(request.path)) {
        answer(connection, 404, R"({"detail":"Not Found"})");
        return true;
    }
    if (const auto complaint = vllm_complaint(request, vllm_tools_); !complaint.empty()) {
        answer(connection, 400, error_body(400, complaint, "BadRequestError"));
        return true;
    }
    return serve_vllm_tokens(connection, request);
}

/// A chat's messages or a prompt become tokens, where llama-server has `content`.
bool Server::serve_vllm_tokens(Connection& connection, const Request& request) {
    if (request.path == "/detokenize") {
        remember(request);
        answer(connection, 200, R"({"prompt":"a fake prompt"})");
        return true;
    }
    if (request.path != "/tokenize") {
        return false;
    }
    const bool chat = request.body.find("\"messages\"") != std::string_view::npos;
    const std::string_view text = json_field(request.body, chat ? "\"content\"" : "\"prompt\"");
    if (text.empty()) {
        answer(connection, 400, error_body(400, "prompt: Field required", "BadRequestError"));
        return true;
    }
    remember(request);
    answer(connection, 200, answers_.tokenize(text));
    return true;
}

void Server::sleep_as_vllm(std::string_view level) {
    if (behaviour_.sleep_crash) {
        std::raise(SIGSEGV);
    }
    if (behaviour_.sleepless) {
        return;
    }
    vllm_.weights = vllm_.cache = false;
    vllm_.right = !level.ends_with("level=2");
    grown_.clear();
    if (!vllm_.right) {
        weights_ = std::string(behaviour_.sleep_keeps_mib << 20, 'k');
    }
}

void Server::wake_as_vllm(std::string_view tags) {
    if (behaviour_.wake_crash) {
        std::raise(SIGSEGV);
    }
    ::poll(nullptr, 0, behaviour_.wake_ms);
    vllm_.weights = vllm_.weights || tags.empty() || tags.ends_with("tags=weights");
    vllm_.cache = vllm_.cache || tags.empty() || tags.ends_with("tags=kv_cache");
    if (vllm_.awake()) {
        vllm_.busy_until = Clock::now() + std::chrono::milliseconds(behaviour_.wake_busy_ms);
        set_ready();
    }
}

}  // namespace drover::fake

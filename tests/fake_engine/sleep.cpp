// Falling asleep and waking up.
#include <csignal>

#include <poll.h>

#include "server.hpp"

namespace drover::fake {

void Server::sleep_if_asked() {
    if (sleep_asked_ == 0 || !ready_ || behaviour_.sleepless) {
        return;
    }
    if (behaviour_.sleep_crash) {
        std::raise(SIGSEGV);
    }
    sleep_asked_ = 0;
    asleep_ = true;
    weights_ = std::string(behaviour_.sleep_keeps_mib << 20, 'k');
    grown_.clear();
}

void Server::wake() {
    if (behaviour_.wake_crash) {
        std::raise(SIGSEGV);
    }
    asleep_ = false;
    ::poll(nullptr, 0, behaviour_.wake_ms);
    set_ready();
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

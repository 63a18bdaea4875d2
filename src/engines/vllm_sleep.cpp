#include "engines/vllm_sleep.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engines/health_probe.hpp"
#include "engines/http_call.hpp"
#include "platform/clock.hpp"

namespace drover::engines {

using platform::now;
using platform::Task;

namespace {

/// Between two looks at an engine that wakes up.
constexpr std::chrono::milliseconds kVllmLookPause(10);

Task<Status> tell(platform::Loop& loop,
                  const Endpoint& endpoint,
                  std::string path,
                  std::string body,
                  TimePoint deadline) {
    HttpQuestion question{.method = "POST", .path = path, .body = std::move(body)};
    const auto answer = co_await http_call(loop, endpoint, std::move(question), deadline);
    if (!answer.ok()) {
        co_return answer.error();
    }
    if (answer->status != 200) {
        co_return Error{ErrorCode::engine_failed,
                        "vLLM answered " + std::to_string(answer->status) + " to " + path};
    }
    co_return Status();
}

/// Unset: it did not say.
Task<std::optional<bool>> says_asleep(platform::Loop& loop,
                                      const Endpoint& endpoint,
                                      TimePoint deadline) {
    HttpQuestion question{.path = "/is_sleeping"};
    const auto answer = co_await http_call(loop, endpoint, std::move(question), deadline);
    if (!answer.ok() || answer->status != 200) {
        co_return std::nullopt;
    }
    co_return answer->body.find("true") != std::string::npos;
}

}  // namespace

Task<Status> put_vllm_to_sleep(platform::Loop& loop,
                               Supervisor& supervisor,
                               SleepWay way,
                               TimePoint deadline) {
    const Endpoint endpoint = supervisor.plan().where();
    const std::string level = way == SleepWay::vllm_light ? "1" : "2";
    const Status told = co_await tell(loop, endpoint, "/sleep?level=" + level, "", deadline);
    if (!told.ok()) {
        co_return told;
    }
    const std::optional<bool> asleep = co_await says_asleep(loop, endpoint, deadline);
    co_return asleep.value_or(false)
        ? Status()
        : Status(Error{ErrorCode::engine_failed, "vLLM says that it does not sleep"});
}

Task<Status> wake_vllm(platform::Loop& loop,
                       const Supervisor& supervisor,
                       SleepWay way,
                       TimePoint deadline) {
    const Endpoint endpoint = supervisor.plan().where();
    // From level 2 the memory of the weights comes back empty.
    std::vector<std::pair<std::string, std::string>> steps{{"/wake_up", ""}};
    if (way == SleepWay::vllm_deep) {
        steps = {{"/wake_up?tags=weights", ""},
                 {"/collective_rpc", R"({"method":"reload_weights"})"},
                 {"/wake_up?tags=kv_cache", ""}};
    }
    for (const auto& [path, body] : steps) {
        const Status told = co_await tell(loop, endpoint, path, body, deadline);
        if (!told.ok()) {
            co_return told;
        }
    }
    // Its answer comes before its engine is awake, where that is a process of its own.
    platform::Timer timer(loop);
    while (supervisor.state() == ProcessState::ready) {
        const std::optional<bool> asleep = co_await says_asleep(loop, endpoint, deadline);
        const bool healthy =
            co_await is_healthy(loop, endpoint, supervisor.plan().health_path, deadline);
        if (healthy && !asleep.value_or(true)) {
            co_return Status();
        }
        if (now() >= deadline) {
            co_return Error{ErrorCode::timeout, "vLLM did not wake up in time"};
        }
        timer.expires_after(kVllmLookPause);
        co_await timer.async_wait(platform::as_result);
    }
    co_return Error{ErrorCode::engine_failed, "vLLM ended while it woke up"};
}

}  // namespace drover::engines

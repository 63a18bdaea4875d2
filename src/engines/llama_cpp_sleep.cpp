#include "engines/llama_cpp_sleep.hpp"

#include <algorithm>
#include <csignal>
#include <string>
#include <utility>

#include "engines/http_call.hpp"
#include "platform/clock.hpp"

namespace drover::engines {

using platform::now;
using platform::Task;

namespace {

/// Between two looks at an engine that falls asleep.
constexpr std::chrono::milliseconds kLookPause(2);

/// An engine that fell asleep before it saw the question that was to wake its loop answers late.
constexpr std::chrono::milliseconds kNudgePatience(100);

/// llama-server tells it among its properties, and answers while it sleeps.
Task<bool> is_asleep(platform::Loop& loop, const Endpoint& endpoint, TimePoint deadline) {
    HttpQuestion question{.path = "/props"};
    const auto answer = co_await http_call(loop, endpoint, std::move(question), deadline);
    co_return answer.ok() && answer->status == 200 &&
        answer->body.find("\"is_sleeping\":true") != std::string::npos;
}

/// Lets llama-server's main loop look at its clock now instead of within a second. A question about
/// its metrics keeps nobody awake.
Task<> nudge(platform::Loop& loop, const Endpoint& endpoint, TimePoint deadline) {
    HttpQuestion question{.path = "/metrics"};
    const TimePoint patience = std::min(now() + kNudgePatience, deadline);
    co_await http_call(loop, endpoint, std::move(question), patience);
}

}  // namespace

Task<Status> put_llama_cpp_to_sleep(platform::Loop& loop,
                                    Supervisor& supervisor,
                                    TimePoint deadline) {
    const Endpoint endpoint = supervisor.plan().where();
    supervisor.signal(SIGUSR1);
    platform::Timer timer(loop);
    while (supervisor.state() == ProcessState::ready) {
        co_await nudge(loop, endpoint, deadline);
        const bool asleep = co_await is_asleep(loop, endpoint, deadline);
        if (asleep) {
            co_return Status();
        }
        if (now() >= deadline) {
            co_return Error{ErrorCode::timeout, "the engine did not fall asleep in time"};
        }
        timer.expires_after(kLookPause);
        co_await timer.async_wait(platform::as_result);
    }
    co_return Error{ErrorCode::engine_failed, "the engine ended while it fell asleep"};
}

Task<Status> wake_llama_cpp(platform::Loop& loop,
                            const Supervisor& supervisor,
                            TimePoint deadline) {
    // Any question that needs the model wakes llama-server, and is answered when it is awake.
    HttpQuestion question{.method = "POST", .path = "/tokenize", .body = R"({"content":""})"};
    const Endpoint endpoint = supervisor.plan().where();
    const auto answer = co_await http_call(loop, endpoint, std::move(question), deadline);
    if (!answer.ok()) {
        co_return answer.error();
    }
    co_return answer->status == 200
        ? Status()
        : Status(Error{
              ErrorCode::engine_failed,
              "the engine answered " + std::to_string(answer->status) + " when it was to wake up"});
}

}  // namespace drover::engines

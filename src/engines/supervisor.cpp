#include "engines/supervisor.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/assert.hpp"
#include "engines/health_probe.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::engines {

namespace log = platform::log;
using platform::as_result;
using platform::now;
using platform::Task;

namespace {

using std::chrono::milliseconds;

/// The next probe of a loading engine comes after 1/50 of the time it has taken so far: being ready
/// is noticed within 2 % of the load.
constexpr int kProbeShare = 50;
constexpr milliseconds kProbeMin(2);
constexpr milliseconds kProbeMax(50);

/// One unanswered probe of a loading engine must not delay the next for long.
constexpr milliseconds kProbeTimeout(1'000);

/// Between two health checks of a ready engine.
constexpr milliseconds kHealthPeriod(2'000);

/// How long the rest of the output may take after the exit: a grandchild can hold the pipe for ever.
constexpr milliseconds kOutputGrace(200);

}  // namespace

Supervisor::Supervisor(platform::Loop& loop, LaunchPlan plan)
    : loop_(loop), plan_(std::move(plan)), changed_(loop), tasks_(loop) {}

Supervisor::~Supervisor() {
    DROVER_ASSERT(state_ == ProcessState::idle || state_ == ProcessState::gone);
}

Task<bool> Supervisor::start() {
    DROVER_ASSERT(state_ == ProcessState::idle);
    state_ = ProcessState::starting;
    const TimePoint begun = now();
    std::error_code ignored;
    std::filesystem::remove(plan_.socket, ignored);
    auto child = platform::ChildProcess::spawn(loop_, plan_.argv, plan_.environment);
    if (!child.ok()) {
        become_gone("could not be started: " + child.error().message);
        co_return false;
    }
    child_.emplace(std::move(*child));
    tasks_.spawn("supervisor.output", [this] { return read_output(); });
    tasks_.spawn("supervisor.exit", [this] { return watch_exit(); });
    platform::Timer timer(loop_);
    while (state_ == ProcessState::starting) {
        const TimePoint probe_deadline = now() + std::max<Duration>(kProbeTimeout, (now() - begun) / 4);
        if (co_await is_healthy(loop_, plan_.socket, plan_.health_path, probe_deadline)) {
            break;
        }
        const auto elapsed = std::chrono::duration_cast<milliseconds>(now() - begun);
        if (elapsed >= plan_.load_timeout) {
            kill("was not ready after " + to_string(plan_.load_timeout) +
                 " (engine.load_timeout) and was killed");
            break;
        }
        timer.expires_after(std::clamp(elapsed / kProbeShare, kProbeMin, kProbeMax));
        co_await timer.async_wait(as_result);
    }
    if (state_ != ProcessState::starting) {
        co_return false;
    }
    state_ = ProcessState::ready;
    tasks_.spawn("supervisor.health", [this] { return watch_health(); });
    co_return true;
}

void Supervisor::stop() {
    if (state_ != ProcessState::starting && state_ != ProcessState::ready) {
        return;
    }
    state_ = ProcessState::stopping;
    stop_asked_ = true;
    child_->signal_group(SIGTERM);
    tasks_.spawn("supervisor.stop", [this] { return kill_when_stop_takes_too_long(); });
}

void Supervisor::kill(std::string cause) {
    if (!child_.has_value() || state_ == ProcessState::gone) {
        return;
    }
    if (kill_cause_.empty()) {
        kill_cause_ = std::move(cause);
    }
    state_ = ProcessState::stopping;
    child_->signal_group(SIGKILL);
}

Task<ExitReport> Supervisor::wait_gone() {
    co_await platform::shield();
    while (!report_.has_value()) {
        co_await changed_.wait();
    }
    tasks_.cancel();
    co_await tasks_.join();
    co_return *report_;
}

Task<> Supervisor::watch_exit() {
    const platform::ExitStatus status = co_await child_->wait();
    const TimePoint deadline = now() + kOutputGrace;
    while (!output_ended_ && now() < deadline) {
        co_await changed_.wait_until(deadline);
    }
    child_->close_output();
    become_gone(kill_cause_.empty() ? status.describe() : kill_cause_);
}

Task<> Supervisor::watch_health() {
    platform::Timer timer(loop_);
    TimePoint answered = now();
    while (state_ == ProcessState::ready) {
        timer.expires_after(std::min(kHealthPeriod, plan_.health_timeout / 2));
        co_await timer.async_wait(as_result);
        const TimePoint deadline = answered + plan_.health_timeout;
        if (co_await is_healthy(loop_, plan_.socket, plan_.health_path, deadline)) {
            answered = now();
        } else if (now() >= deadline && state_ == ProcessState::ready) {
            kill("did not answer its health check for " + to_string(plan_.health_timeout) +
                 " (engine.health_timeout) and was killed");
        }
    }
}

Task<> Supervisor::read_output() {
    std::array<char, 4096> buffer{};
    while (const std::size_t count = co_await child_->read_output(buffer.data(), buffer.size())) {
        for (const std::string& line : last_words_.add({buffer.data(), count})) {
            log::debug("engine.output", {{"pid", child_->pid()}, {"line", line}});
        }
    }
    output_ended_ = true;
    changed_.notify_all();
}

Task<> Supervisor::kill_when_stop_takes_too_long() {
    platform::Timer timer(loop_, now() + plan_.stop_timeout);
    co_await timer.async_wait(as_result);
    if (state_ == ProcessState::stopping) {
        log::warn("engine.killed", {{"pid", child_->pid()}, {"after", to_string(plan_.stop_timeout)}});
        child_->signal_group(SIGKILL);
    }
}

void Supervisor::become_gone(std::string cause) {
    std::error_code ignored;
    std::filesystem::remove(plan_.socket, ignored);
    state_ = ProcessState::gone;
    report_ = ExitReport{.cause = std::move(cause),
                         .last_words = last_words_.text(),
                         .expected = stop_asked_ && kill_cause_.empty()};
    changed_.notify_all();
}

}  // namespace drover::engines

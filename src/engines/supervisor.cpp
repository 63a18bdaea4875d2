#include "engines/supervisor.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include "base/assert.hpp"
#include "engines/health_probe.hpp"
#include "platform/clock.hpp"
#include "platform/guard.hpp"
#include "platform/leftovers.hpp"
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

/// Whatever a loading engine prints is a hint that it may be ready (llama-server prints a line when
/// it is), but no reason to probe more often than this.
constexpr milliseconds kHintMin(1);

/// What one probe waits for at least. One unanswered probe of a loading engine must not delay the
/// next for long.
constexpr milliseconds kProbeTimeout(1'000);

/// Between two health checks of a ready engine.
constexpr milliseconds kHealthPeriod(2'000);

/// How long the rest of the output may take after the exit: a descendant can hold the pipe for
/// ever.
constexpr milliseconds kOutputGrace(200);

void remove_file(const std::filesystem::path& path) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
}

}  // namespace

Supervisor::Supervisor(platform::Loop& loop, LaunchPlan plan)
    : loop_(loop), plan_(std::move(plan)), endpoint_(plan_.where()), changed_(loop), tasks_(loop) {}

Supervisor::~Supervisor() {
    DROVER_ASSERT(state_ == ProcessState::idle || state_ == ProcessState::gone);
}

Task<Status> Supervisor::start() {
    DROVER_ASSERT(state_ == ProcessState::idle);
    if (stop_asked_ || !kill_cause_.empty()) {
        become_gone(kill_cause_.empty() ? "was stopped before it started" : kill_cause_);
        co_return why_not_ready();
    }
    if (const Status spawned = spawn(); !spawned.ok()) {
        become_gone("could not be started: " + spawned.error().message);
        co_return why_not_ready();
    }
    enter(ProcessState::starting);
    tasks_.spawn("supervisor.output", [this] { return read_output(); });
    tasks_.spawn("supervisor.exit", [this] { return watch_exit(); });
    tasks_.spawn("supervisor.load", [this] { return watch_load(); });
    while (state_ == ProcessState::starting) {
        co_await changed_.wait();
    }
    if (state_ != ProcessState::ready) {
        co_return why_not_ready();
    }
    co_return Status();
}

Status Supervisor::spawn() {
    if (plan_.socket.native().size() > kSocketPathMax) {
        return Error{ErrorCode::invalid_argument,
                     "the path of its socket is longer than " + std::to_string(kSocketPathMax) +
                         " bytes (" + plan_.socket.string() +
                         "); set DROVER_RUNTIME_DIR to a shorter folder"};
    }
    remove_file(plan_.socket);
    std::vector<std::string> environment = plan_.environment;
    environment.push_back(platform::leftover_mark(plan_.socket));
    auto child = platform::ChildProcess::spawn(loop_, plan_.argv, environment);
    if (!child.ok()) {
        return child.error();
    }
    child_.emplace(std::move(*child));
    return {};
}

Error Supervisor::why_not_ready() const {
    if (load_timed_out_) {
        return {ErrorCode::timeout, kill_cause_};
    }
    if (stop_asked_ && kill_cause_.empty()) {
        return {ErrorCode::unavailable, "was stopped while it started"};
    }
    std::string message = report_.has_value() ? report_->cause : kill_cause_;
    if (const std::string words = last_words_.text(); !words.empty()) {
        message += "; its last words: " + words;
    }
    return {ErrorCode::engine_failed, std::move(message)};
}

void Supervisor::stop() {
    if (state_ == ProcessState::idle) {
        stop_asked_ = true;
    }
    if (state_ != ProcessState::starting && state_ != ProcessState::ready) {
        return;
    }
    stop_asked_ = true;
    enter(ProcessState::stopping);
    if (plan_.stop_timeout.count() == 0) {
        kill_tree();
        return;
    }
    child_->signal_group(SIGTERM);
    tasks_.spawn("supervisor.stop", [this] { return kill_when_stop_takes_too_long(); });
}

void Supervisor::signal(int signal) {
    if (child_.has_value() && state_ != ProcessState::gone) {
        child_->signal(signal);
    }
}

void Supervisor::kill(std::string cause) {
    if (state_ == ProcessState::gone) {
        return;
    }
    if (kill_cause_.empty()) {
        kill_cause_ = std::move(cause);
    }
    if (state_ != ProcessState::idle) {
        enter(ProcessState::stopping);
        kill_tree();
    }
}

Task<ExitReport> Supervisor::wait_gone() {
    DROVER_ASSERT(state_ != ProcessState::idle);
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

Task<> Supervisor::watch_load() {
    const TimePoint begun = now();
    const TimePoint load_deadline = begun + plan_.load_timeout;
    while (state_ == ProcessState::starting) {
        const TimePoint probed = now();
        const Duration patience = std::max<Duration>(kProbeTimeout, (probed - begun) / 4);
        printed_ = false;
        const bool healthy = co_await is_healthy(
            loop_, endpoint_, plan_.health_path, std::min(probed + patience, load_deadline));
        if (state_ != ProcessState::starting) {
            break;
        }
        if (healthy) {
            enter(ProcessState::ready);
            co_await watch_health();
        } else if (now() >= load_deadline) {
            load_timed_out_ = true;
            kill("was not ready after " + to_string(plan_.load_timeout) +
                 " (engine.load_timeout) and was killed");
        } else {
            const Duration pause =
                std::clamp<Duration>((probed - begun) / kProbeShare, kProbeMin, kProbeMax);
            co_await wait_for_next_probe(probed, std::min(probed + pause, load_deadline));
        }
    }
}

Task<> Supervisor::wait_for_next_probe(TimePoint probed, TimePoint next) {
    platform::Timer timer(loop_, probed + kHintMin);
    co_await timer.async_wait(as_result);
    while (!printed_ && state_ == ProcessState::starting && now() < next) {
        co_await changed_.wait_until(next);
    }
}

Task<> Supervisor::watch_health() {
    platform::Timer timer(loop_);
    std::optional<TimePoint> silent_since;
    while (state_ == ProcessState::ready) {
        timer.expires_after(std::min(kHealthPeriod, plan_.health_timeout / 2));
        co_await timer.async_wait(as_result);
        // The silence begins with a question, not with the last answer: we may have been stopped
        // ourselves for a while, and then the engine still deserves the whole time.
        const TimePoint asked = now();
        const TimePoint deadline = silent_since.value_or(asked) + plan_.health_timeout;
        const TimePoint patience =
            std::max(deadline, asked + std::min(kProbeTimeout, plan_.health_timeout));
        const bool healthy = co_await is_healthy(loop_, endpoint_, plan_.health_path, patience);
        if (healthy) {
            silent_since.reset();
            continue;
        }
        silent_since = silent_since.value_or(asked);
        if (now() >= deadline && state_ == ProcessState::ready) {
            kill("did not answer its health check for " + to_string(plan_.health_timeout) +
                 " (engine.health_timeout) and was killed");
        }
    }
}

Task<> Supervisor::read_output() {
    std::array<char, 16UL * 1024> buffer{};
    OutputLines lines;
    while (const std::size_t count = co_await child_->read_output(buffer.data(), buffer.size())) {
        const std::string_view piece(buffer.data(), count);
        last_words_.add(piece);
        if (log::enabled(log::Level::debug)) {
            for (const std::string& line : lines.add(piece)) {
                log::debug("engine.output", {{"pid", child_->pid()}, {"line", line}});
            }
        }
        if (state_ == ProcessState::starting && !std::exchange(printed_, true)) {
            changed_.notify_all();
        }
    }
    output_ended_ = true;
    changed_.notify_all();
}

Task<> Supervisor::kill_when_stop_takes_too_long() {
    platform::Timer timer(loop_, now() + plan_.stop_timeout);
    co_await timer.async_wait(as_result);
    if (state_ == ProcessState::stopping) {
        log::warn("engine.killed",
                  {{"pid", child_->pid()}, {"after", to_string(plan_.stop_timeout)}});
        kill_tree();
    }
}

void Supervisor::kill_tree() {
    if (plan_.guarded) {
        child_->signal(platform::kGuardKill);
    } else {
        child_->signal_group(SIGKILL);
    }
}

void Supervisor::enter(ProcessState state) {
    state_ = state;
    changed_.notify_all();
}

void Supervisor::become_gone(std::string cause) {
    remove_file(plan_.socket);
    report_ = ExitReport{.cause = std::move(cause),
                         .last_words = last_words_.text(),
                         .expected = stop_asked_ && kill_cause_.empty()};
    enter(ProcessState::gone);
}

}  // namespace drover::engines

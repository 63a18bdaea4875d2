// Models that failed: who waits for them, and until when.
#include "memory/scheduler.hpp"

namespace drover::memory {

namespace {

/// A lease that ended this long before its instance may have ended because of the crash, of which
/// we hear later than its client.
constexpr Duration kCrashNotice = std::chrono::milliseconds(100);

}  // namespace

/// An instance ended by itself.
void Scheduler::note_failure(Model& model, const Instance& instance) {
    model.wanted = false;
    if (instance.first_served_at.has_value() && now_ - *instance.first_served_at >= kCrashNotice) {
        model.backoff.note_success();
    }
    model.backoff.note_failure(now_, options_.backoff_first, options_.backoff_max);
    model.load_failed = instance.state == InstanceState::loading;
    const auto wait = model.backoff.remaining(now_);
    const RefuseReason reason =
        model.load_failed ? RefuseReason::load_failed : RefuseReason::backing_off;
    if (model.load_failed || (wait.has_value() && *wait > patience(model))) {
        refuse_waiting(model, {.request = {}, .reason = reason, .retry_after = wait});
    }
}

/// How long requests wait for a model that failed.
Duration Scheduler::patience(const Model& model) const {
    return model.load_failed ? Duration() : options_.backoff_patience;
}

void Scheduler::update_pause(ModelId id, Model& model) {
    const auto wait = is_missed(model) ? model.backoff.remaining(now_) : std::nullopt;
    const std::optional<TimePoint> resumes_at =
        wait.has_value() ? std::optional(now_ + *wait) : std::nullopt;
    if (resumes_at == model.resumes_at) {
        return;
    }
    if (model.resumes_at.has_value()) {
        pauses_.erase({*model.resumes_at, id});
    }
    if (resumes_at.has_value()) {
        pauses_.emplace(*resumes_at, id);
    }
    model.resumes_at = resumes_at;
}

/// Models whose back-off is over join the line.
void Scheduler::resume() {
    while (!pauses_.empty() && pauses_.begin()->first <= now_) {
        const ModelId id = pauses_.begin()->second;
        update_place(id, models_.at(id));
        ceiling_fell_ = true;  // it may have fallen meanwhile
    }
}

}  // namespace drover::memory

// The life of one instance: it starts, serves, sleeps, wakes up and ends, with its conversations.
#include <utility>

#include "control/control_loop.hpp"
#include "control/durations.hpp"
#include "engines/sleep.hpp"
#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;
using memory::Footprint;
using platform::now;
using platform::Task;

namespace {

/// A cause and last words are kept for requests that notice late; a few instances are enough.
constexpr std::size_t kEndedMax = 16;

/// Whatever becomes of the saving, the engine must leave: its memory is promised to others.
class StopAtEnd {
  public:
    explicit StopAtEnd(engines::Supervisor& supervisor) : supervisor_(&supervisor) {}
    StopAtEnd(const StopAtEnd&) = delete;
    StopAtEnd& operator=(const StopAtEnd&) = delete;
    ~StopAtEnd() {
        if (supervisor_ != nullptr) {
            supervisor_->stop();
        }
    }
    /// It sleeps, and may stay.
    void keep() { supervisor_ = nullptr; }

  private:
    engines::Supervisor* supervisor_;
};

/// Between two looks whether the engine still loads.
constexpr Bytes kReadAheadPiece = 64_MiB;

}  // namespace

Task<> ControlLoop::run(std::shared_ptr<Instance> instance) {
    const TimePoint begun = now();
    snapshots_.prepare(*instance);
    const Status started = co_await instance->supervisor.start();
    if (started.ok()) {
        instance->load_time = now() - begun;
        if (const auto model = models_.find(instance->model); model != models_.end()) {
            model->second.view.load_time = instance->load_time;
        }
        co_await serve(instance, begun);
    }
    instance->report = co_await instance->supervisor.wait_gone();
    note_exit(*instance);
    snapshots_.forget(instance->id);
    instances_.erase(instance->id);
    ended_.push_back(instance);
    if (ended_.size() > kEndedMax) {
        ended_.pop_front();
    }
    feed(memory::InstanceGone{instance->id});
    forget_retired();
    instance->gone.notify_all();
    instance_ended_.notify_all();
}

/// Who comes next, as a rule, wakes up if there is room; the files of one that is cold are read.
/// Nobody leaves for what is only expected.
void ControlLoop::prefetch_after(ModelId model) {
    const std::optional<ModelId> next = successors_.expected_after(model);
    const auto managed = next.has_value() ? models_.find(*next) : models_.end();
    if (managed == models_.end() || retired_.contains(*next)) {
        return;
    }
    const auto instance = scheduler_.instance_of(*next);
    if (!instance.has_value()) {
        tasks_.spawn("control.prefetch", [this, next, files = managed->second.files] {
            return read_ahead(files,
                              [this, next] { return !scheduler_.instance_of(*next).has_value(); });
        });
    } else if (instance->state == memory::InstanceState::asleep) {
        feed(memory::LoadRequested{*next});
    }
}

/// The disk reads the files from front to back, for instance while a process starts and makes its
/// tables, instead of piece by piece when the engine comes to them.
Task<> ControlLoop::read_ahead(std::vector<std::filesystem::path> files,
                               std::function<bool()> wanted) {
    for (const std::filesystem::path& file : files) {
        for (Bytes done; wanted();) {
            const auto read = [file, done] {
                return platform::read_ahead(file, done, kReadAheadPiece);
            };
            const Bytes reached = co_await pool_.run(read);
            if (reached < done + kReadAheadPiece) {
                break;
            }
            done = reached;
        }
    }
}

/// The engine is there: its conversations come back, and then requests do.
Task<> ControlLoop::serve(std::shared_ptr<Instance> instance, TimePoint begun) {
    co_await snapshots_.restore(instance);
    if (instance->supervisor.state() != engines::ProcessState::ready) {
        co_return;
    }
    instance->resting = false;
    log::info("instance.ready",
              {{"model", name(instance->model)},
               {"instance", instance->id.value},
               {"ms", milliseconds_of(now() - begun)}});
    // The waiting requests need not wait for the measurement: until it is in, the estimate stays,
    // or what was measured before it slept.
    const Footprint known = instance->charged.empty() ? instance->reserved : instance->charged;
    feed(memory::InstanceReady{instance->id, known});
    co_await measure(instance);
}

Task<> ControlLoop::save_and_stop(std::shared_ptr<Instance> instance) {
    const StopAtEnd stop(instance->supervisor);
    co_await learn_speed(instance);
    co_await snapshots_.save(instance);
}

Task<> ControlLoop::save_and_sleep(std::shared_ptr<Instance> instance) {
    StopAtEnd stop(instance->supervisor);
    if (snapshots_.keeps(*instance)) {
        co_await learn_speed(instance);
        co_await snapshots_.save(instance);
    }
    const engines::SleepWay way = instance->sleep_way();
    const TimePoint deadline = now() + engines::sleep_time_max(way);
    const Status asleep =
        co_await engines::put_to_sleep(loop_, instance->supervisor, way, deadline);
    if (!asleep.ok()) {
        note_sleepless(*instance, asleep.error());
        co_return;
    }
    const Result<Footprint> kept = co_await weigh_asleep(instance);
    if (!kept.ok()) {
        note_sleepless(*instance, kept.error());
        co_return;
    }
    stop.keep();
    snapshots_.forget(instance->id);
    log::info("instance.asleep",
              {{"model", name(instance->model)},
               {"instance", instance->id.value},
               {"keeps", drover::to_string(kept->total())}});
    feed(memory::InstanceAsleep{instance->id, *kept});
}

void ControlLoop::note_sleepless(const Instance& instance, const Error& cause) const {
    log::warn("instance.sleepless",
              {{"model", name(instance.model)},
               {"instance", instance.id.value},
               {"cause", cause.message}});
}

Task<> ControlLoop::wake(std::shared_ptr<Instance> instance) {
    const TimePoint begun = now();
    snapshots_.prepare(*instance);
    const TimePoint deadline = begun + instance->supervisor.plan().load_timeout;
    const Status awake =
        co_await engines::wake_up(loop_, instance->supervisor, instance->sleep_way(), deadline);
    if (!awake.ok()) {
        instance->supervisor.kill("did not wake up: " + awake.error().message);
        co_return;
    }
    instance->wake_time = now() - begun;
    co_await serve(instance, begun);
}

void ControlLoop::note_exit(const Instance& instance) {
    const engines::ExitReport& report = *instance.report;
    if (report.expected) {
        log::info("instance.gone",
                  {{"model", name(instance.model)}, {"instance", instance.id.value}});
        return;
    }
    log::warn("instance.failed",
              {{"model", name(instance.model)},
               {"instance", instance.id.value},
               {"cause", report.cause},
               {"last_words", report.last_words}});
    last_failure_.insert_or_assign(instance.model, describe_exit(instance));
}

Error ControlLoop::describe_exit(const Instance& instance) const {
    std::string message =
        "the engine of model '" + std::string(name(instance.model)) + "' " + instance.report->cause;
    if (!instance.report->last_words.empty()) {
        message += "; its last words: " + instance.report->last_words;
    }
    return {ErrorCode::engine_failed, std::move(message)};
}

}  // namespace drover::control

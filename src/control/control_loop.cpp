#include "control/control_loop.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "engines/sleep.hpp"
#include "platform/clock.hpp"
#include "platform/files.hpp"
#include "platform/log.hpp"
#include "platform/memory_probe.hpp"

namespace drover::control {

namespace log = platform::log;
using memory::Footprint;
using platform::now;
using platform::Task;

namespace {

/// Asked of a client that waited in vain.
constexpr auto kRetryAfterTimeout = std::chrono::seconds(10);

std::chrono::seconds whole_seconds(Duration duration) {
    return std::max(std::chrono::ceil<std::chrono::seconds>(duration), std::chrono::seconds(1));
}

std::int64_t milliseconds_of(Duration duration) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
}

std::string_view to_string(memory::StopReason reason) {
    switch (reason) {
        case memory::StopReason::evicted:
            return "evicted";
        case memory::StopReason::expired:
            return "expired";
        case memory::StopReason::unloaded:
            return "unloaded";
        case memory::StopReason::shrunk:
            return "shrunk";
        case memory::StopReason::draining:
            return "draining";
    }
    DROVER_UNREACHABLE();
}

/// A cause and last words are kept for requests that notice late; a few instances are enough.
constexpr std::size_t kEndedMax = 16;

/// The kernel closes a dying process's sockets before its exit is reported; the gap is short.
constexpr auto kExitNoticeMax = std::chrono::seconds(1);

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

/// An engine needs some hundredths of a second.
constexpr auto kSleepMax = std::chrono::seconds(5);

}  // namespace

ControlLoop::Pending::Pending(ControlLoop& control, ModelId model)
    : control_(control),
      request_{++control.last_request_.value},
      model_(model),
      decided_(control.loop_) {
    control_.pending_.emplace(request_, this);
}

ControlLoop::Pending::~Pending() {
    control_.pending_.erase(request_);
    if (!outcome_.has_value()) {
        control_.feed(memory::RequestCancelled{request_});
    }
}

ControlLoop::ControlLoop(platform::Loop& loop,
                         platform::BlockingPool& pool,
                         ControlOptions options,
                         models::Registry registry,
                         std::vector<ManagedModel> models)
    : loop_(loop),
      pool_(pool),
      options_(std::move(options)),
      registry_(std::move(registry)),
      snapshots_(loop, pool, options_.snapshots),
      budget_(pool, options_.budget[memory::kHostDevice], options_.kept_free),
      remotes_(loop, std::move(options_.remotes)),
      scheduler_(options_.scheduler, options_.budget),
      wake_timer_(loop),
      instance_ended_(loop),
      tasks_(loop) {
    for (ManagedModel& model : models) {
        declare(std::move(model));
    }
}

ControlLoop::~ControlLoop() = default;

void ControlLoop::start() {
    budget_.weigh_ourselves();
    update_budget();
    snapshots_.start();
    remotes_.start([this](std::string_view name) { return registry_.find(name) != nullptr; });
    tasks_.spawn("control.measure", [this] { return measure_periodically(); });
    for (const models::Model& model : registry_.models()) {
        const auto managed = models_.find(model.id);
        if (managed != models_.end() && managed->second.preload) {
            feed(memory::LoadRequested{model.id});
        }
    }
}

Task<> ControlLoop::stop() {
    feed(memory::DrainStarted{});
    co_await remotes_.stop();
    while (!instances_.empty()) {
        co_await instance_ended_.wait();
    }
    co_await snapshots_.stop();
    tasks_.cancel();
    wake_timer_.cancel();
    co_await tasks_.join();
}

std::optional<Lease> ControlLoop::try_acquire(ModelId model, const AcquireOptions& options) {
    if (Remotes::has(model)) {
        return remotes_.try_acquire(model, options);
    }
    const auto instance = scheduler_.instance_of(model);
    if (!instance.has_value() || instance->state != memory::InstanceState::ready ||
        instance->retiring || instance->leases >= models_.at(model).traits.lease_limit) {
        return std::nullopt;
    }
    Pending pending(*this, model);
    feed(memory::RequestArrived{pending.request(), model, options.keep_alive});
    if (successors_.note(model)) {
        prefetch_after(model);
    }
    if (!pending.outcome().has_value() || !pending.outcome()->ok()) {
        return std::nullopt;
    }
    return std::move(**pending.outcome());
}

Task<Result<Lease>> ControlLoop::acquire(ModelId model, AcquireOptions options) {
    if (Remotes::has(model)) {
        co_return co_await remotes_.acquire(model, std::move(options));
    }
    if (retired_.contains(model) || !models_.contains(model)) {
        co_return Error{ErrorCode::not_found,
                        "model '" + std::string(name(model)) + "' was removed meanwhile"};
    }
    const TimePoint deadline = now() + options.queue_timeout;
    Pending pending(*this, model);
    feed(memory::RequestArrived{pending.request(), model, options.keep_alive});
    if (successors_.note(model)) {
        prefetch_after(model);
    }
    while (!pending.outcome().has_value()) {
        if (now() >= deadline) {
            co_return Error{ErrorCode::timeout,
                            "model '" + std::string(name(model)) +
                                "' did not become available within " +
                                drover::to_string(options.queue_timeout) +
                                "; try again later, or raise limits.queue_timeout",
                            kRetryAfterTimeout};
        }
        co_await pending.decided().wait_until(deadline);
    }
    co_return std::move(*pending.outcome());
}

Task<Status> ControlLoop::load(ModelId model) {
    const AcquireOptions patient{.queue_timeout = options_.load_timeout};
    const Result<Lease> lease = co_await acquire(model, patient);
    co_return lease.ok() ? Status() : Status(lease.error());
}

Task<Result<Bytes>> ControlLoop::unload(ModelId model) {
    if (Remotes::has(model)) {
        co_return Bytes(0);  // nothing of it is here
    }
    const auto resident = scheduler_.instance_of(model);
    if (!resident.has_value()) {
        co_return Bytes(0);
    }
    const std::shared_ptr<Instance> instance = instances_.at(resident->instance);
    feed(memory::UnloadRequested{model});
    while (!instance->report.has_value()) {
        co_await instance->gone.wait();
    }
    co_return resident->held.total();
}

void ControlLoop::end_lease(RequestId request) {
    feed(memory::LeaseEnded{request});
}

bool ControlLoop::may_recall(InstanceId instance) const {
    return snapshots_.may_recall(instance);
}

Task<> ControlLoop::recall(InstanceId id, std::string_view path, std::string_view body) {
    if (const auto found = instances_.find(id); found != instances_.end()) {
        const std::shared_ptr<Instance> instance = found->second;
        co_await snapshots_.recall(instance, path, body);
    }
}

void ControlLoop::report_hung(InstanceId instance, std::string cause) {
    if (const auto found = instances_.find(instance); found != instances_.end()) {
        feed(memory::UnloadRequested{found->second->model});  // nobody else is sent to it
        found->second->supervisor.kill(std::move(cause));
    }
}

Task<std::optional<Error>> ControlLoop::failure(InstanceId id) {
    const auto is_it = [id](const std::shared_ptr<Instance>& one) {
        return one->id == id;
    };
    std::shared_ptr<Instance> instance;
    if (const auto found = instances_.find(id); found != instances_.end()) {
        instance = found->second;
    } else if (const auto ended = std::find_if(ended_.begin(), ended_.end(), is_it);
               ended != ended_.end()) {
        instance = *ended;
    } else {
        co_return std::nullopt;
    }
    const TimePoint deadline = now() + kExitNoticeMax;
    while (!instance->report.has_value() && now() < deadline) {
        co_await instance->gone.wait_until(deadline);
    }
    if (!instance->report.has_value()) {
        co_return std::nullopt;
    }
    co_return describe_exit(*instance);
}

void ControlLoop::feed(memory::Event event) {
    events_.push_back(std::move(event));
    if (pumping_) {
        return;  // carrying out an effect may feed the next event: one at a time, in order
    }
    pumping_ = true;
    while (!events_.empty()) {
        const memory::Event next = std::move(events_.front());
        events_.pop_front();
        for (const memory::Effect& effect : scheduler_.on(next, now())) {
            std::visit([this](const auto& one) { carry_out(one); }, effect);
        }
    }
    pumping_ = false;
}

void ControlLoop::carry_out(const memory::StartInstance& effect) {
    const ManagedModel& model = models_.at(effect.model);
    auto plan = model.launch(options_.runtime_dir /
                             ("engine-" + std::to_string(effect.instance.value) + ".sock"));
    log::info("instance.starting",
              {{"model", model.view.name},
               {"instance", effect.instance.value},
               {"reserved", drover::to_string(effect.reserved.total())}});
    if (!plan.ok()) {
        last_failure_.insert_or_assign(effect.model, plan.error());
        feed(memory::InstanceGone{effect.instance});
        return;
    }
    auto instance =
        std::make_shared<Instance>(loop_, effect.instance, effect.model, std::move(*plan));
    instances_.emplace(effect.instance, instance);
    tasks_.spawn("control.instance", [this, instance] { return run(instance); });
    tasks_.spawn("control.read_ahead", [this, instance, files = model.files] {
        return read_ahead(files, [instance] {
            return instance->supervisor.state() == engines::ProcessState::starting;
        });
    });
}

void ControlLoop::carry_out(const memory::StopInstance& effect) {
    const std::shared_ptr<Instance> instance = instances_.at(effect.instance);
    log::info("instance.stopping",
              {{"model", name(instance->model)},
               {"instance", effect.instance.value},
               {"reason", to_string(effect.reason)}});
    if (snapshots_.keeps(*instance)) {
        tasks_.spawn("control.save", [this, instance] { return save_and_stop(instance); });
    } else {
        instance->supervisor.stop();
    }
}

void ControlLoop::carry_out(const memory::SleepInstance& effect) {
    const std::shared_ptr<Instance> instance = instances_.at(effect.instance);
    instance->resting = true;
    tasks_.spawn("control.sleep", [this, instance] { return save_and_sleep(instance); });
}

void ControlLoop::carry_out(const memory::WakeInstance& effect) {
    const std::shared_ptr<Instance> instance = instances_.at(effect.instance);
    log::info("instance.waking",
              {{"model", name(effect.model)},
               {"instance", effect.instance.value},
               {"reserved", drover::to_string(effect.reserved.total())}});
    tasks_.spawn("control.wake", [this, instance] { return wake(instance); });
}

void ControlLoop::carry_out(const memory::GrantLease& effect) {
    const std::shared_ptr<Instance>& instance = instances_.at(effect.instance);
    decide(effect.request, Lease(*this, effect.request, effect.instance, instance->upstream));
}

void ControlLoop::carry_out(const memory::RefuseRequest& effect) {
    if (const auto found = pending_.find(effect.request); found != pending_.end()) {
        decide(effect.request, refusal(found->second->model(), effect));
    }
}

void ControlLoop::carry_out(const memory::WakeAt& effect) {
    wake_timer_.expires_at(effect.at);  // cancels the earlier wait
    wake_timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) {
            feed(memory::TimerFired{});
        }
    });
}

void ControlLoop::decide(RequestId request, Result<Lease> outcome) {
    const auto found = pending_.find(request);
    if (found == pending_.end()) {
        return;  // the client left between the decision and now: a lease ends with `outcome`
    }
    found->second->outcome().emplace(std::move(outcome));
    found->second->decided().notify_all();
}

Task<> ControlLoop::run(std::shared_ptr<Instance> instance) {
    const TimePoint begun = now();
    snapshots_.prepare(*instance);
    const Status started = co_await instance->supervisor.start();
    if (started.ok()) {
        instance->load_time = now() - begun;
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
    // The waiting requests need not wait for the measurement: the estimate stays until it is in.
    feed(memory::InstanceReady{instance->id, scheduler_.instance_of(instance->model)->held});
    co_await measure(instance);
}

Task<> ControlLoop::save_and_stop(std::shared_ptr<Instance> instance) {
    const StopAtEnd stop(instance->supervisor);
    co_await snapshots_.save(instance);
}

Task<> ControlLoop::save_and_sleep(std::shared_ptr<Instance> instance) {
    StopAtEnd stop(instance->supervisor);
    if (snapshots_.keeps(*instance)) {
        co_await snapshots_.save(instance);
    }
    const TimePoint deadline = now() + kSleepMax;
    const Status asleep = co_await engines::put_to_sleep(loop_, instance->supervisor, deadline);
    if (!asleep.ok()) {
        note_sleepless(*instance, asleep.error());
        co_return;
    }
    const Result<Footprint> kept = co_await weigh(instance);
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
    const Status awake = co_await engines::wake_up(loop_, instance->supervisor, deadline);
    if (!awake.ok()) {
        instance->supervisor.kill("did not wake up: " + awake.error().message);
        co_return;
    }
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

/// What it holds at this moment.
Task<Result<Footprint>> ControlLoop::weigh(std::shared_ptr<Instance> instance) {
    const pid_t pid = instance->supervisor.pid();
    // llama-server has no children, and looking at every process of the machine takes time.
    const bool tree = instance->supervisor.plan().guarded;
    const auto probe = [pid, tree] {
        return tree ? platform::group_pss(pid) : platform::process_pss(pid);
    };
    const auto memory = co_await pool_.run(probe);
    if (!memory.ok()) {
        co_return memory.error();
    }
    if (instance->supervisor.state() != engines::ProcessState::ready) {
        // What was read may be half of it.
        co_return Error{ErrorCode::engine_failed, "the engine ended meanwhile"};
    }
    co_return Footprint::host(memory->total);
}

Task<> ControlLoop::measure(std::shared_ptr<Instance> instance) {
    const Result<Footprint> weighed = co_await weigh(instance);
    if (!weighed.ok() || instance->resting) {
        co_return;
    }
    const Footprint measured = *weighed;
    if (!instance->measured_at_ready.has_value()) {
        instance->measured_at_ready = measured;
    }
    // What it has touched since it became ready comes out of the growth that was foreseen.
    const Footprint foreseen = *instance->measured_at_ready + models_.at(instance->model).growth;
    const Footprint least = models_.at(instance->model).least;
    const Footprint larger = measured.fits(foreseen) ? foreseen : measured;
    const Footprint charged = larger.fits(least) ? least : larger;
    if (charged != instance->charged) {
        instance->charged = charged;
        log::debug("instance.measured",
                   {{"model", name(instance->model)},
                    {"pss", drover::to_string(measured.total())},
                    {"charged", drover::to_string(charged.total())}});
        feed(memory::InstanceMeasured{instance->id, charged});
        if (options_.sizes != nullptr) {
            const auto remember = [sizes = options_.sizes,
                                   key = models_.at(instance->model).size_key,
                                   size = MeasuredSize{charged.total(), instance->load_time}] {
                return sizes->remember(key, size);
            };
            co_await pool_.run(remember);
        }
    }
}

Task<> ControlLoop::measure_periodically() {
    platform::Timer timer(loop_);
    while (true) {
        timer.expires_after(options_.measure_every);
        const auto [error] = co_await timer.async_wait(platform::as_result);
        if (error) {
            co_return;
        }
        co_await budget_.review(engine_processes(), scheduler_.held()[memory::kHostDevice]);
        update_budget();
        const auto instances = instances_;  // the map may change while one is measured
        for (const auto& [id, instance] : instances) {
            if (instance->supervisor.state() == engines::ProcessState::ready &&
                !instance->resting) {
                co_await measure(instance);
                co_await snapshots_.review(instance);
            }
        }
    }
}

std::vector<pid_t> ControlLoop::engine_processes() const {
    std::vector<pid_t> pids;
    for (const auto& [id, instance] : instances_) {
        if (const pid_t pid = instance->supervisor.pid(); pid > 0) {
            pids.push_back(pid);
        }
    }
    return pids;
}

void ControlLoop::update_budget() {
    memory::Footprint budget = options_.budget;
    budget[memory::kHostDevice] = budget_.available();
    if (budget != scheduler_.budget()) {
        feed(memory::BudgetChanged{budget});
    }
}

std::string ControlLoop::taken_by_others() const {
    if (budget_.taken() <= Bytes(0)) {
        return {};
    }
    return "Other programs on this machine need " + drover::to_string(budget_.taken()) +
           " of the budget of " + drover::to_string(budget_.configured()) + " at present. ";
}

Error ControlLoop::refusal(ModelId model, const memory::RefuseRequest& effect) const {
    const ManagedModel& managed = models_.at(model);
    std::optional<std::chrono::seconds> retry_after;
    if (effect.retry_after.has_value()) {
        retry_after = whole_seconds(*effect.retry_after);
    }
    const auto failure = last_failure_.find(model);
    const std::string failed = failure == last_failure_.end() ? "" : failure->second.message;
    switch (effect.reason) {
        case memory::RefuseReason::queue_full:
            return {ErrorCode::overloaded,
                    "model '" + managed.view.name + "' has " +
                        std::to_string(managed.traits.queue_limit) +
                        " requests waiting already, which is its limit (queue); try again later",
                    retry_after};
        case memory::RefuseReason::never_fits:
            return {ErrorCode::insufficient_memory,
                    "model '" + managed.view.name + "' needs " +
                        drover::to_string(effect.needed.total()) + " of memory, but at most " +
                        drover::to_string(effect.available.total()) + " can be freed for it. " +
                        taken_by_others() + managed.advice(effect.available.total())};
        case memory::RefuseReason::load_failed:
            return {ErrorCode::engine_failed,
                    "model '" + managed.view.name + "' could not be loaded: " + failed,
                    retry_after};
        case memory::RefuseReason::backing_off:
            return {ErrorCode::unavailable,
                    "model '" + managed.view.name +
                        "' failed lately and is not tried again yet: " + failed,
                    retry_after};
        case memory::RefuseReason::draining:
            return {ErrorCode::unavailable, "the server is stopping", retry_after};
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::control

#include "control/control_loop.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "platform/clock.hpp"
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

/// The kernel closes a dying process's sockets before its exit is reported; the gap is short.
constexpr auto kExitNoticeMax = std::chrono::seconds(1);

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

#include "control/control_loop.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "control/durations.hpp"
#include "control/stopping.hpp"
#include "platform/clock.hpp"
#include "platform/log.hpp"

namespace drover::control {

namespace log = platform::log;
using memory::Footprint;
using platform::now;
using platform::Task;

namespace {

/// Asked of a client that waited in vain.
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

ControlLoop::Pending::Pending(ControlLoop& control,
                              ModelId model,
                              std::optional<memory::KeepAlive> keep_alive)
    : control_(control),
      request_{++control.last_request_.value},
      model_(model),
      keep_alive_(keep_alive),
      decided_(control.loop_) {
    control_.pending_.emplace(request_, this);
}

ControlLoop::Pending::~Pending() {
    control_.pending_.erase(request_);
    if (!outcome_.has_value()) {
        control_.feed(memory::RequestCancelled{request_});
    }
}

void ControlLoop::Pending::ask() {
    context_ = control_.models_.at(model_).view.context;
    control_.feed(memory::RequestArrived{request_, model_, keep_alive_});
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
      scales_(options_.gpus, options_.gpu_probe),
      budget_(options_.budget, options_.gpus, options_.kept_free),
      remotes_(loop, std::move(options_.remotes)),
      scheduler_(options_.scheduler, with_count(options_.budget)),
      wake_timer_(loop),
      instance_ended_(loop),
      tasks_(loop) {
    for (ManagedModel& model : models) {
        declare(std::move(model));
    }
}

ControlLoop::~ControlLoop() = default;

void ControlLoop::start() {
    budget_.charge(scales_.weigh({}));
    update_budget();
    snapshots_.start();
    remotes_.start([this](std::string_view name) { return registry_.find(name) != nullptr; });
    tasks_.spawn("control.measure", [this] { return measure_periodically(); });
    tasks_.spawn("control.loads", [this] { return ask_loads(); });
    for (const models::Model& model : registry_.models()) {
        const auto managed = models_.find(model.id);
        if (managed != models_.end() && managed->second.preload) {
            warn_if_too_large(managed->second);
            feed(memory::LoadRequested{model.id});
        }
    }
}

/// Of a model that nobody has asked for yet, so that nobody else would be told.
void ControlLoop::warn_if_too_large(const ManagedModel& model) const {
    const auto& placements = model.traits.placements;
    const Footprint most = scheduler_.most_for(model.id);
    const bool fits =
        std::any_of(placements.begin(), placements.end(), [&](const memory::Placement& one) {
            return one.footprint.fits(most);
        });
    if (!fits) {
        const memory::RefuseRequest told{.request = {},
                                         .reason = memory::RefuseReason::never_fits,
                                         .needed = placements.front().footprint,
                                         .available = most};
        log::warn("preload.impossible",
                  {{"model", model.view.name}, {"cause", refusal(model.id, told).message}});
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
        instance->retiring || instance->leases >= models_.at(model).traits.lease_limit ||
        options.context > models_.at(model).view.context) {
        return std::nullopt;
    }
    Pending pending(*this, model, options.keep_alive);
    pending.ask();
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
    enlarge(model, options.context);
    const TimePoint deadline = now() + options.queue_timeout;
    Pending pending(*this, model, options.keep_alive);
    pending.ask();
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

std::string ControlLoop::last_words(InstanceId instance) const {
    const auto found = instances_.find(instance);
    return found == instances_.end() ? "" : found->second->supervisor.last_words();
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
    const PlacementTraits& placed = model.placements.at(effect.placement);
    auto plan = model.launch(
        options_.runtime_dir / ("engine-" + std::to_string(effect.instance.value) + ".sock"),
        effect.placement);
    log::info("instance.starting",
              {{"model", model.view.name},
               {"instance", effect.instance.value},
               {"where", placed.where},
               {"reserved", drover::to_string(effect.reserved.total())}});
    if (!plan.ok()) {
        last_failure_.insert_or_assign(effect.model, plan.error());
        feed(memory::InstanceGone{effect.instance});
        return;
    }
    auto instance = std::make_shared<Instance>(loop_, effect, placed, std::move(*plan));
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
    instance->way = effect.way;
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
    instance->served = true;
    decide(effect.request, Lease(*this, effect.request, effect.instance, instance->upstream));
}

void ControlLoop::carry_out(const memory::RefuseRequest& effect) {
    const auto found = pending_.find(effect.request);
    if (found == pending_.end()) {
        return;
    }
    Pending& pending = *found->second;
    if (effect.reason == memory::RefuseReason::never_fits && went_back(pending)) {
        pending.ask();
    } else {
        decide(effect.request, refusal(pending.model(), effect));
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
                    "model '" + managed.view.name + "' needs " + short_of(effect) + ". " +
                        taken_by_pinned(effect.needed) + taken_by_others(effect.needed) +
                        managed.advice(room_for(effect))};
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
            return server_stopping();
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::control

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

/// Our own memory is charged to the budget in steps, so that small changes do not move it.
constexpr Bytes kOwnMemoryStep = 16_MiB;

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

}  // namespace

ControlLoop::ControlLoop(platform::Loop& loop,
                         platform::BlockingPool& pool,
                         ControlOptions options,
                         std::vector<ManagedModel> models)
    : loop_(loop),
      pool_(pool),
      options_(std::move(options)),
      scheduler_(options_.scheduler, options_.budget),
      wake_timer_(loop),
      changed_(loop),
      tasks_(loop) {
    for (ManagedModel& model : models) {
        const ModelId id = model.id;
        feed(memory::ModelDeclared{id, model.traits});
        models_.emplace(id, std::move(model));
    }
}

ControlLoop::~ControlLoop() = default;

void ControlLoop::start() {
    if (const auto own = platform::process_pss(platform::own_pid()); own.ok()) {
        charge_own_memory(own->total);
    }
    tasks_.spawn("control.measure", [this] { return measure_periodically(); });
    for (const auto& [id, model] : models_) {
        if (model.preload) {
            feed(memory::LoadRequested{id});
        }
    }
}

Task<> ControlLoop::stop() {
    feed(memory::DrainStarted{});
    while (!instances_.empty()) {
        co_await changed_.wait();
    }
    tasks_.cancel();
    wake_timer_.cancel();
    co_await tasks_.join();
}

Ticket ControlLoop::request(ModelId model, std::optional<memory::KeepAlive> keep_alive) {
    ++last_request_.value;
    auto pending = std::make_unique<PendingRequest>();
    pending->request = last_request_;
    pending->model = model;
    pending_.emplace(last_request_, pending.get());
    Ticket ticket(*this, std::move(pending));
    feed(memory::RequestArrived{last_request_, model, keep_alive});
    return ticket;
}

Task<Result<Lease>> ControlLoop::wait(Ticket ticket, TimePoint deadline) {
    platform::Notifier decided(loop_);
    ticket.pending_->waiter = &decided;
    while (!ticket.decided()) {
        if (now() >= deadline) {
            ticket.pending_->waiter = nullptr;
            co_return Error{ErrorCode::timeout,
                            "model '" + models_.at(ticket.pending_->model).name +
                                "' did not become available in time; try again later, or raise "
                                "limits.queue_timeout"};
        }
        const bool woken = co_await decided.wait_until(deadline);
        if (!woken && (co_await boost::asio::this_coro::cancellation_state).cancelled() !=
                          boost::asio::cancellation_type::none) {
            ticket.pending_->waiter = nullptr;
            co_return Error{ErrorCode::cancelled, "the client left while it waited"};
        }
    }
    ticket.pending_->waiter = nullptr;
    co_return ticket.take();
}

Task<Status> ControlLoop::load(ModelId model, TimePoint deadline) {
    const Result<Lease> lease = co_await wait(request(model, std::nullopt), deadline);
    co_return lease.ok() ? Status() : Status(lease.error());
}

Task<Result<Bytes>> ControlLoop::unload(ModelId model) {
    const auto resident = [this, model] {
        const auto found = std::find_if(instances_.begin(), instances_.end(), [model](auto& entry) {
            return entry.second->model == model;
        });
        return found == instances_.end() ? nullptr : found->second;
    };
    const std::shared_ptr<Instance> instance = resident();
    if (instance == nullptr) {
        co_return Bytes(0);
    }
    const Bytes held = held_by(instance->id);
    feed(memory::UnloadRequested{model});
    while (!instance->report.has_value()) {
        co_await instance->gone.wait();
    }
    co_return held;
}

Bytes ControlLoop::held_by(InstanceId instance) const {
    for (const memory::InstanceView& view : scheduler_.instances()) {
        if (view.instance == instance) {
            return view.held.total();
        }
    }
    return Bytes(0);
}

FleetStatus ControlLoop::status() const {
    FleetStatus status{.budget = options_.budget,
                       .held = scheduler_.held() + Footprint::host(own_memory_),
                       .own = own_memory_,
                       .waiting = scheduler_.waiting(),
                       .instances = {}};
    for (const memory::InstanceView& view : scheduler_.instances()) {
        InstanceStatus entry{.view = view, .waiting = scheduler_.waiting(view.model)};
        if (const auto found = instances_.find(view.instance); found != instances_.end()) {
            entry.pid = found->second->supervisor.pid();
            entry.load_time = found->second->load_time;
        }
        status.instances.push_back(std::move(entry));
    }
    return status;
}

std::optional<memory::InstanceState> ControlLoop::state(ModelId model) const {
    for (const memory::InstanceView& view : scheduler_.instances()) {
        if (view.model == model) {
            return view.state;
        }
    }
    return std::nullopt;
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
    const auto socket = options_.runtime_dir / ("engine-" + std::to_string(effect.instance.value) + ".sock");
    auto instance =
        std::make_shared<Instance>(loop_, effect.instance, effect.model, model.launch(socket));
    instances_.emplace(effect.instance, instance);
    log::info("instance.starting",
              {{"model", model.name},
               {"instance", effect.instance.value},
               {"reserved", drover::to_string(effect.reserved.total())}});
    tasks_.spawn("control.instance", [this, instance] { return run(instance); });
}

void ControlLoop::carry_out(const memory::StopInstance& effect) {
    const std::shared_ptr<Instance> instance = instances_.at(effect.instance);
    log::info("instance.stopping",
              {{"model", models_.at(instance->model).name},
               {"instance", effect.instance.value},
               {"reason", to_string(effect.reason)}});
    instance->supervisor.stop();
}

void ControlLoop::carry_out(const memory::GrantLease& effect) {
    const auto instance = instances_.find(effect.instance);
    DROVER_ASSERT(instance != instances_.end());
    decide(effect.request, Lease(*this, effect.request, instance->second));
}

void ControlLoop::carry_out(const memory::RefuseRequest& effect) {
    if (const auto found = pending_.find(effect.request); found != pending_.end()) {
        decide(effect.request, refusal(found->second->model, effect));
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
    found->second->outcome.emplace(std::move(outcome));
    if (found->second->waiter != nullptr) {
        found->second->waiter->notify_all();
    }
}

void ControlLoop::forget(const PendingRequest& pending) {
    pending_.erase(pending.request);
    if (!pending.outcome.has_value()) {
        feed(memory::RequestCancelled{pending.request});
    }
}

Task<> ControlLoop::run(std::shared_ptr<Instance> instance) {
    const ManagedModel& model = models_.at(instance->model);
    const TimePoint begun = now();
    const Status ready = co_await instance->supervisor.start();
    if (ready.ok()) {
        instance->load_time = now() - begun;
        log::info("instance.ready",
                  {{"model", model.name},
                   {"instance", instance->id.value},
                   {"ms", milliseconds_of(instance->load_time)}});
        // The waiting requests need not wait for the measurement: the estimate stays until it is in.
        feed(memory::InstanceReady{instance->id, Footprint::host(held_by(instance->id))});
        co_await measure(instance);
    }
    instance->report = co_await instance->supervisor.wait_gone();
    note_exit(*instance);
    instances_.erase(instance->id);
    feed(memory::InstanceGone{instance->id});
    instance->gone.notify_all();
    changed_.notify_all();
}

void ControlLoop::note_exit(const Instance& instance) {
    const engines::ExitReport& report = *instance.report;
    if (report.expected) {
        log::info("instance.gone",
                  {{"model", models_.at(instance.model).name}, {"instance", instance.id.value}});
        return;
    }
    log::warn("instance.failed",
              {{"model", models_.at(instance.model).name},
               {"instance", instance.id.value},
               {"cause", report.cause},
               {"last_words", report.last_words}});
    last_failure_.insert_or_assign(instance.model, describe_exit(instance));
}

Error ControlLoop::describe_exit(const Instance& instance) const {
    std::string message =
        "the engine of model '" + models_.at(instance.model).name + "' " + instance.report->cause;
    if (!instance.report->last_words.empty()) {
        message += "; its last words: " + instance.report->last_words;
    }
    return {ErrorCode::engine_failed, std::move(message)};
}

Task<> ControlLoop::measure(std::shared_ptr<Instance> instance) {
    const pid_t pid = instance->supervisor.pid();
    const auto pss = co_await pool_.run([pid] { return platform::process_pss(pid); });
    if (!pss.ok() || instance->supervisor.state() != engines::ProcessState::ready) {
        co_return;  // it ended meanwhile, and what was read may be half of it
    }
    const Footprint measured = Footprint::host(pss->total);
    if (!instance->measured_at_ready.has_value()) {
        instance->measured_at_ready = measured;
    }
    // What it has touched since it became ready comes out of the growth that was foreseen.
    const Footprint foreseen = *instance->measured_at_ready + models_.at(instance->model).growth;
    const Footprint charged = measured.fits(foreseen) ? foreseen : measured;
    if (charged != instance->charged) {
        instance->charged = charged;
        log::debug("instance.measured",
                   {{"model", models_.at(instance->model).name},
                    {"pss", drover::to_string(measured.total())},
                    {"charged", drover::to_string(charged.total())}});
        feed(memory::InstanceMeasured{instance->id, charged});
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
        const auto own = co_await pool_.run([] { return platform::process_pss(platform::own_pid()); });
        if (own.ok()) {
            charge_own_memory(own->total);
        }
        const auto instances = instances_;  // the map may change while one is measured
        for (const auto& [id, instance] : instances) {
            if (instance->supervisor.state() == engines::ProcessState::ready) {
                co_await measure(instance);
            }
        }
    }
}

void ControlLoop::charge_own_memory(Bytes own) {
    const std::int64_t step = kOwnMemoryStep.count();
    // One step of headroom: our memory may rise between two measurements.
    const Bytes charged((own.count() / step + 2) * step);
    if (charged <= own_memory_) {
        return;  // never given back: a peak that was there once comes again
    }
    own_memory_ = charged;
    feed(memory::BudgetChanged{options_.budget - Footprint::host(own_memory_)});
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
                    "model '" + managed.name + "' has " + std::to_string(managed.traits.queue_limit) +
                        " requests waiting already, which is its limit (queue); try again later",
                    retry_after};
        case memory::RefuseReason::never_fits:
            return {ErrorCode::insufficient_memory,
                    "model '" + managed.name + "' needs " + drover::to_string(effect.needed.total()) +
                        " of memory, but at most " + drover::to_string(effect.available.total()) +
                        " can be freed for it. " + managed.advice(effect.available.total())};
        case memory::RefuseReason::load_failed:
            return {ErrorCode::engine_failed,
                    "model '" + managed.name + "' could not be loaded: " + failed,
                    retry_after};
        case memory::RefuseReason::backing_off:
            return {ErrorCode::unavailable,
                    "model '" + managed.name + "' failed lately and is not tried again yet: " + failed,
                    retry_after};
        case memory::RefuseReason::draining:
            return {ErrorCode::unavailable, "the server is stopping", retry_after};
    }
    DROVER_UNREACHABLE();
}

}  // namespace drover::control

// A scheduler on a stage for unit tests: models and instances by name, requests by number, effects
// as a line of text, invariants checked after every event.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "memory/scheduler.hpp"

namespace drover::memory::testing {

/// Every call feeds one event and returns its effects in order, such as "stop a evicted, start b"
/// or "grant 1"; WakeAt is kept to itself. Sizes are in GiB.
class Stage {
  public:
    explicit Stage(std::int64_t budget, SchedulerOptions options = {})
        : Stage(gib(budget), options) {}
    explicit Stage(const Footprint& budget, SchedulerOptions options = {})
        : scheduler_(options, budget) {}

    static Footprint gib(std::int64_t size) { return Footprint::host(1_GiB * size); }
    /// GiB on the host, then on each GPU.
    static Footprint gib(std::initializer_list<std::int64_t> sizes) {
        Footprint footprint;
        for (std::size_t device = 0; const std::int64_t size : sizes) {
            footprint[device++] = 1_GiB * size;
        }
        return footprint;
    }

    /// Declares (again) `name`, which takes `size`.
    std::string model(const std::string& name, std::int64_t size, ModelTraits traits = {}) {
        traits.placements = {{gib(size)}};
        return declare(name, traits);
    }
    std::string model(const std::string& name,
                      std::vector<Placement> placements,
                      ModelTraits traits = {}) {
        traits.placements = std::move(placements);
        return declare(name, traits);
    }
    std::string declare(const std::string& name, const ModelTraits& traits) {
        models_.emplace(name, ModelId{models_.size() + 1});
        return feed(ModelDeclared{models_.at(name), traits});
    }

    /// Requests are numbered from 1.
    std::string request(const std::string& model,
                        std::optional<KeepAlive> keep_alive = std::nullopt) {
        return feed(RequestArrived{RequestId{++requests_}, models_.at(model), keep_alive});
    }
    std::string cancel(std::uint64_t request) { return feed(RequestCancelled{RequestId{request}}); }
    std::string end(std::uint64_t request) { return feed(LeaseEnded{RequestId{request}}); }

    /// The instance of `model` is ready, and takes what was reserved or `measured`.
    std::string ready(const std::string& model,
                      std::optional<std::int64_t> measured = std::nullopt) {
        const InstanceView one = instance(model);
        return feed(InstanceReady{one.instance, measured.has_value() ? gib(*measured) : one.held});
    }
    std::string asleep(const std::string& model, std::int64_t kept) {
        return asleep(model, gib(kept));
    }
    std::string asleep(const std::string& model, const Footprint& kept) {
        return feed(InstanceAsleep{instance(model).instance, kept});
    }
    std::string measure(const std::string& model, std::int64_t size) {
        return feed(InstanceMeasured{instance(model).instance, gib(size)});
    }
    std::string gone(const std::string& model) {
        return feed(InstanceGone{instance(model).instance});
    }

    std::string load(const std::string& model) { return feed(LoadRequested{models_.at(model)}); }
    std::string unload(const std::string& model) {
        return feed(UnloadRequested{models_.at(model)});
    }
    std::string budget(std::int64_t size) { return budget(gib(size)); }
    std::string budget(const Footprint& budget) { return feed(BudgetChanged{budget}); }
    std::string drain() { return feed(DrainStarted{}); }

    /// Lets time pass; the timer fires when it is due.
    std::string pass(Duration duration) {
        const TimePoint until = now_ + duration;
        std::string effects;
        while (wake_at_.has_value() && *wake_at_ <= until) {
            now_ = std::max(now_, *wake_at_);
            wake_at_.reset();
            append(effects, feed(TimerFired{}));
        }
        now_ = until;
        return effects;
    }

    /// Makes `model` resident and idle; the requests that it takes are counted.
    void warm(const std::string& model) {
        request(model);
        ready(model);
        end(requests_);
    }

    std::string feed(const Event& event) {
        std::string text;
        for (const Effect& effect : scheduler_.on(event, now_)) {
            append(text, std::visit([this](const auto& one) { return describe(one); }, effect));
        }
        scheduler_.check_invariants();
        return text;
    }

    Scheduler& scheduler() { return scheduler_; }
    InstanceView instance(const std::string& model) const {
        return scheduler_.instance_of(models_.at(model)).value();
    }
    bool resident(const std::string& model) const {
        return scheduler_.instance_of(models_.at(model)).has_value();
    }
    std::size_t waiting(const std::string& model) const {
        return scheduler_.waiting(models_.at(model));
    }
    std::int64_t most_for(const std::string& model) const {
        return scheduler_.most_for(models_.at(model))[kHostDevice].count() >> 30;
    }
    std::int64_t held() const { return scheduler_.held()[kHostDevice].count() >> 30; }
    std::optional<TimePoint> wake_at() const { return wake_at_; }
    TimePoint now() const { return now_; }
    const RefuseRequest& last_refusal() const { return last_refusal_; }

  private:
    static void append(std::string& line, const std::string& more) {
        line += line.empty() || more.empty() ? more : ", " + more;
    }

    std::string name(ModelId id) const {
        return std::find_if(models_.begin(),
                            models_.end(),
                            [id](const auto& one) { return one.second == id; })
            ->first;
    }

    std::string describe(const StartInstance& effect) {
        names_[effect.instance] = name(effect.model);
        const std::string where = " as " + std::to_string(effect.placement);
        return "start " + names_[effect.instance] + (effect.placement == 0 ? "" : where);
    }
    std::string describe(const StopInstance& effect) {
        static constexpr const char* kReasons[] = {
            "evicted", "expired", "unloaded", "shrunk", "draining"};
        return "stop " + names_[effect.instance] + " " + kReasons[static_cast<int>(effect.reason)];
    }
    std::string describe(const SleepInstance& effect) {
        const std::string way = effect.way == 0 ? "" : " in way " + std::to_string(effect.way);
        return "sleep " + names_[effect.instance] + way;
    }
    std::string describe(const WakeInstance& effect) { return "wake " + names_[effect.instance]; }
    std::string describe(const GrantLease& effect) {
        return "grant " + std::to_string(effect.request.value);
    }
    std::string describe(const RefuseRequest& effect) {
        static constexpr const char* kReasons[] = {
            "queue_full", "never_fits", "load_failed", "backing_off", "draining"};
        last_refusal_ = effect;
        return "refuse " + std::to_string(effect.request.value) + " " +
               kReasons[static_cast<int>(effect.reason)];
    }
    std::string describe(const WakeAt& effect) {
        wake_at_ = effect.at;
        return "";
    }

    Scheduler scheduler_;
    std::map<std::string, ModelId> models_;
    std::map<InstanceId, std::string> names_;
    std::uint64_t requests_ = 0;
    TimePoint now_{};
    std::optional<TimePoint> wake_at_;
    RefuseRequest last_refusal_{};
};

}  // namespace drover::memory::testing

#include "planner/replay.hpp"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <unordered_map>
#include <utility>
#include <variant>

#include "base/agenda.hpp"
#include "base/assert.hpp"

namespace drover::planner {

namespace {

/// From SIGTERM until the memory is back.
constexpr Duration kStopTime = std::chrono::milliseconds(100);

/// A service or gap of more than a year is a mistake.
constexpr double kSecondsMax = 366.0 * 24 * 3600;

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

std::optional<Duration> seconds_of(std::string_view text) {
    double seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0) ||
        seconds > kSecondsMax) {
        return std::nullopt;
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
}

Error wrong(std::size_t line, const std::string& what) {
    return {ErrorCode::invalid_argument, "line " + std::to_string(line) + ": " + what};
}

/// The planned machine: the real scheduler, engines that do nothing but take time.
class ReplayedMachine {
  public:
    ReplayedMachine(const std::vector<ReplayModel>& models,
                    const memory::Footprint& budget,
                    const memory::SchedulerOptions& options)
        : models_(models), loaded_(models.size()), scheduler_(options, budget) {
        for (std::size_t i = 0; i < models.size(); ++i) {
            feed(memory::ModelDeclared{ModelId{i + 1}, models[i].traits});
        }
    }

    Replay run(const std::vector<Arrival>& arrivals) {
        for (const Arrival& arrival : arrivals) {
            while (!agenda_.empty() && agenda_.next() < TimePoint(arrival.at)) {
                agenda_.step();
            }
            agenda_.after(TimePoint(arrival.at) - agenda_.now(), [this, arrival] { ask(arrival); });
        }
        while (!agenda_.empty() && !requests_done(arrivals.size())) {
            agenda_.step();
        }
        summarise();
        return std::move(result_);
    }

  private:
    struct Request {
        TimePoint since;
        Duration service;
    };

    bool requests_done(std::size_t all) const { return result_.served + result_.refused == all; }

    void ask(const Arrival& arrival) {
        const RequestId id{++last_request_};
        requests_.emplace(id, Request{agenda_.now(), arrival.service});
        feed(memory::RequestArrived{id, ModelId{arrival.model + 1}});
    }

    void feed(const memory::Event& event) {
        for (const memory::Effect& effect : scheduler_.on(event, agenda_.now())) {
            std::visit([this](const auto& one) { carry_out(one); }, effect);
        }
    }

    void carry_out(const memory::StartInstance& effect) {
        const std::size_t model = effect.model.value - 1;
        const Duration took =
            loaded_[model] ? models_[model].traits.load_time : models_[model].first_load;
        loaded_[model] = true;
        model_of_[effect.instance] = model;
        ++result_.loads;
        result_.loading += took;
        if (result_.swaps.size() < kSwapsMax) {
            result_.swaps.push_back({model, std::exchange(left_, {}), took});
        }
        agenda_.after(took, [this, effect] {
            feed(memory::InstanceReady{effect.instance, effect.reserved});
        });
    }
    void carry_out(const memory::StopInstance& effect) {
        result_.evictions += effect.reason == memory::StopReason::evicted ? 1 : 0;
        left_.push_back(model_of_.at(effect.instance));
        model_of_.erase(effect.instance);
        agenda_.after(kStopTime, [this, effect] { feed(memory::InstanceGone{effect.instance}); });
    }
    // Nobody told the scheduler that the models of a plan can sleep.
    void carry_out(const memory::SleepInstance&) { DROVER_UNREACHABLE(); }
    void carry_out(const memory::WakeInstance&) { DROVER_UNREACHABLE(); }
    void carry_out(const memory::GrantLease& effect) {
        const Request request = requests_.at(effect.request);
        waits_.push_back(agenda_.now() - request.since);
        agenda_.after(request.service, [this, effect] {
            ++result_.served;
            requests_.erase(effect.request);
            feed(memory::LeaseEnded{effect.request});
        });
    }
    void carry_out(const memory::RefuseRequest& effect) {
        ++result_.refused;
        requests_.erase(effect.request);
    }
    void carry_out(const memory::WakeAt& effect) {
        agenda_.after(std::max(effect.at - agenda_.now(), Duration(0)),
                      [this, wake = ++last_wake_] {
                          if (wake == last_wake_) {
                              feed(memory::TimerFired{});
                          }
                      });
    }

    void summarise() {
        if (waits_.empty()) {
            return;
        }
        std::sort(waits_.begin(), waits_.end());
        Duration sum{};
        for (const Duration wait : waits_) {
            sum += wait;
        }
        // The nearest rank: so many of a hundred waited no longer.
        const auto quantile = [this](std::size_t percent) {
            return waits_[(waits_.size() * percent + 99) / 100 - 1];
        };
        result_.waited_mean = sum / static_cast<std::int64_t>(waits_.size());
        result_.waited_p50 = quantile(50);
        result_.waited_p95 = quantile(95);
        result_.waited_max = waits_.back();
    }

    const std::vector<ReplayModel>& models_;
    std::vector<bool> loaded_;
    Agenda agenda_;
    memory::Scheduler scheduler_;
    std::unordered_map<RequestId, Request> requests_;
    std::unordered_map<InstanceId, std::size_t> model_of_;
    std::vector<std::size_t> left_;
    std::vector<Duration> waits_;
    std::uint64_t last_request_ = 0;
    std::uint64_t last_wake_ = 0;
    Replay result_;
};

}  // namespace

Result<std::vector<Arrival>> parse_trace(std::string_view text,
                                         const std::vector<std::string>& models,
                                         Duration service_default) {
    std::vector<Arrival> arrivals;
    std::size_t number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find('\n', begin), text.size());
        const std::string_view line = trimmed(text.substr(begin, end - begin));
        begin = end + 1;
        ++number;
        if (line.empty() || line.front() == '#') {
            continue;
        }
        const std::size_t comma = std::min(line.find(','), line.size());
        const auto at = seconds_of(trimmed(line.substr(0, comma)));
        if (!at.has_value() && number == 1) {
            continue;  // names of the columns
        }
        if (!at.has_value() || comma == line.size()) {
            return wrong(number, "expected SECONDS,MODEL[,SERVICE_SECONDS]");
        }
        const std::string_view rest = line.substr(comma + 1);
        const std::size_t second = std::min(rest.find(','), rest.size());
        const std::string_view name = trimmed(rest.substr(0, second));
        const auto model = std::find(models.begin(), models.end(), name);
        if (model == models.end()) {
            return wrong(number, "'" + std::string(name) + "' is none of the planned models");
        }
        std::optional<Duration> service = service_default;
        if (second < rest.size()) {
            service = seconds_of(trimmed(rest.substr(second + 1)));
        }
        if (!service.has_value()) {
            return wrong(number, "the third field must be the seconds that the request takes");
        }
        if (arrivals.size() == kArrivalsMax) {
            return wrong(number, "more than " + std::to_string(kArrivalsMax) + " requests");
        }
        arrivals.push_back({*at, static_cast<std::size_t>(model - models.begin()), *service});
    }
    std::stable_sort(arrivals.begin(), arrivals.end(), [](const Arrival& a, const Arrival& b) {
        return a.at < b.at;
    });
    return arrivals;
}

Replay replay(const std::vector<ReplayModel>& models,
              const memory::Footprint& budget,
              const memory::SchedulerOptions& options,
              const std::vector<Arrival>& arrivals) {
    return ReplayedMachine(models, budget, options).run(arrivals);
}

}  // namespace drover::planner

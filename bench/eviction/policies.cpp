#include "policies.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

#include "base/assert.hpp"
#include "memory/scheduler.hpp"

namespace drover::bench {

using memory::EvictionPolicy;
using memory::Footprint;
using memory::Usage;
using memory::ValueScale;
using memory::Visit;

namespace {

double seconds_of(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

/// One cache under a value function: `rank(model)` is asked of every resident when one must leave.
/// Costs more than the scheduler's sorted order, but allows values that change by themselves.
class Cache {
  public:
    Cache(const std::vector<Bytes>& sizes, Bytes budget)
        : sizes_(sizes), budget_(budget), resident_(sizes.size()) {}

    template <typename Rank>
    void ask(std::size_t model, ValueScale scale, Rank rank) {
        if (resident_[model]) {
            return;
        }
        cost_ += seconds_of(load_time(sizes_[model]));
        if (held_ + sizes_[model] > budget_) {
            memory::LeavingOrder order;
            for (std::size_t one = 0; one < sizes_.size(); ++one) {
                if (resident_[one]) {
                    order.put({.value = rank(one), .instance = InstanceId{one + 1}},
                              Footprint::host(sizes_[one]));
                }
            }
            const Footprint missing = Footprint::host(held_ + sizes_[model] - budget_);
            for (const InstanceId victim : order.choose(missing, scale).instances) {
                resident_[victim.value - 1] = false;
                held_ -= sizes_[victim.value - 1];
            }
        }
        resident_[model] = true;
        held_ += sizes_[model];
    }
    double cost() const { return cost_; }

  private:
    const std::vector<Bytes>& sizes_;
    Bytes budget_;
    std::vector<bool> resident_;
    Bytes held_;
    double cost_ = 0;
};

}  // namespace

// least[S] is the smallest cost at which at least the models of S can be resident. After a request
// for m that is least[S + m] as it was, or least[S] plus a load, if S + m fits.
double optimal_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget) {
    constexpr double kNever = std::numeric_limits<double>::infinity();
    const std::size_t sets = std::size_t{1} << sizes.size();
    std::vector<char> fits(sets);
    for (std::size_t set = 0; set < sets; ++set) {
        Bytes sum;
        for (std::size_t model = 0; model < sizes.size(); ++model) {
            sum += (set >> model & 1U) != 0 ? sizes[model] : Bytes(0);
        }
        fits[set] = sum <= budget ? 1 : 0;
    }
    std::vector<double> least(sets, kNever);
    std::vector<double> next(sets);
    least[0] = 0;
    for (std::size_t i = 0; i < trace.size(); ++i) {
        const std::size_t model = trace[i].model;
        if (i > 0 && model == trace[i - 1].model) {
            continue;
        }
        const std::size_t bit = std::size_t{1} << model;
        const double cost = seconds_of(load_time(sizes[model]));
        for (std::size_t set = 0; set < sets; ++set) {
            const std::size_t with = set | bit;
            next[set] = fits[with] != 0 ? std::min(least[with], least[with ^ bit] + cost) : kNever;
        }
        std::swap(least, next);
    }
    return least[0];
}

double fixed_cost(const Trace& trace,
                  const std::vector<Bytes>& sizes,
                  Bytes budget,
                  EvictionPolicy policy) {
    Cache cache(sizes, budget);
    std::vector<Usage> usages(sizes.size());
    Visit visit = 0;
    for (std::size_t i = 0; i < trace.size(); ++i) {
        if (i > 0 && trace[i].model == trace[i - 1].model) {
            continue;
        }
        usages[trace[i].model].note(++visit);
        cache.ask(trace[i].model, memory::value_scale(policy, visit), [&](std::size_t one) {
            return memory::keep_value(
                policy, usages[one], load_time(sizes[one]), Footprint::host(sizes[one]));
        });
    }
    return cache.cost();
}

double successor_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget) {
    constexpr double kDiscount = 0.9;  // looks ten visits ahead
    constexpr double kLearn = 0.02;
    Cache cache(sizes, budget);
    // soon[a][b]: the expected discount of the next visit of b, when a was just visited.
    std::vector<std::vector<double>> soon(sizes.size(), std::vector<double>(sizes.size()));
    std::vector<int> seen(sizes.size());
    for (std::size_t i = 0; i < trace.size(); ++i) {
        const std::size_t model = trace[i].model;
        if (i > 0) {
            const std::size_t before = trace[i - 1].model;
            if (before == model) {
                continue;
            }
            const double learn = std::max(kLearn, 1.0 / (++seen[before] + 1));
            for (std::size_t one = 0; one < sizes.size(); ++one) {
                const double target = kDiscount * (one == model ? 1 : soon[model][one]);
                soon[before][one] += learn * (target - soon[before][one]);
            }
        }
        cache.ask(model, 0.0, [&](std::size_t one) {
            return std::log(soon[model][one] * seconds_of(load_time(sizes[one])) /
                            static_cast<double>(sizes[one].count()));
        });
    }
    return cache.cost();
}

double clock_gdsf_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget) {
    constexpr double kMemorySeconds = 300;
    Cache cache(sizes, budget);
    std::vector<double> counts(sizes.size());
    std::vector<TimePoint> since(sizes.size());
    for (const Asked& asked : trace) {
        const auto at = [&](std::size_t one) {
            return counts[one] * std::exp(-seconds_of(asked.at - since[one]) / kMemorySeconds);
        };
        counts[asked.model] = at(asked.model) + 1;
        since[asked.model] = asked.at;
        cache.ask(asked.model, std::nullopt, [&](std::size_t one) {
            return std::log(at(one) * seconds_of(load_time(sizes[one])) /
                            static_cast<double>(sizes[one].count()));
        });
    }
    return cache.cost();
}

double scheduler_cost(const Trace& trace, const std::vector<Bytes>& sizes, Bytes budget) {
    memory::Scheduler scheduler({.min_residency = Duration(0)}, Footprint::host(budget));
    TimePoint now{};
    double cost = 0;
    // Only loads take time: the scheduler believes what it sees.
    const auto feed = [&](auto&& self, const memory::Event& event) -> void {
        for (const memory::Effect& effect : scheduler.on(event, now)) {
            if (const auto* start = std::get_if<memory::StartInstance>(&effect)) {
                const Duration took = load_time(sizes[start->model.value - 1]);
                cost += seconds_of(took);
                now += took;
                self(self, memory::InstanceReady{start->instance, start->reserved});
            } else if (const auto* stop = std::get_if<memory::StopInstance>(&effect)) {
                self(self, memory::InstanceGone{stop->instance});
            } else if (const auto* grant = std::get_if<memory::GrantLease>(&effect)) {
                self(self, memory::LeaseEnded{grant->request});
            }
        }
    };
    for (std::size_t model = 0; model < sizes.size(); ++model) {
        memory::ModelTraits traits{.placements = {{Footprint::host(sizes[model])}},
                                   .keep_alive = std::nullopt,
                                   .load_time = load_time(sizes[model])};
        feed(feed, memory::ModelDeclared{ModelId{model + 1}, traits});
    }
    std::uint64_t request = 0;
    for (const Asked& asked : trace) {
        now = std::max(now, asked.at);
        feed(feed, memory::RequestArrived{RequestId{++request}, ModelId{asked.model + 1}});
        DROVER_ASSERT(scheduler.waiting() == 0);
    }
    return cost;
}

}  // namespace drover::bench

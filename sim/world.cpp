#include "world.hpp"

#include <algorithm>

namespace drover::sim {

using memory::Footprint;
using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kStopTime = milliseconds(30);
constexpr int kHangFactor = 100;

/// FNV-1a, 64 bit.
constexpr std::uint64_t kHashStart = 0xcbf29ce484222325U;
constexpr std::uint64_t kHashPrime = 0x100000001b3U;

/// After faults and arrivals have stopped, everything begun ends within this. The longest single
/// thing is a hanging load.
constexpr Duration kSettleMax = std::chrono::hours(2);

Duration scaled(Duration duration, double factor) {
    return duration_cast<Duration>(duration * factor);
}

Duration random_duration(Rng& rng, Duration mean) {
    const double seconds_of = std::chrono::duration<double>(mean).count();
    return duration_cast<Duration>(std::chrono::duration<double>(rng.exponential(seconds_of)));
}

}  // namespace

World::World(Scenario scenario, std::uint64_t seed)
    : scenario_(std::move(scenario)),
      rng_(seed),
      scheduler_(scenario_.options, scenario_.budget),
      budget_(scenario_.budget),
      workload_(scenario_.pattern, scenario_.models.size(), scenario_.clients, rng_) {
    summary_.hash = kHashStart;
}

Summary World::run(std::uint64_t events_max, bool settle) {
    for (std::size_t i = 0; i < scenario_.models.size(); ++i) {
        feed(memory::ModelDeclared{ModelId{i + 1}, scenario_.models[i].traits});
    }
    for (std::size_t client = 0; client < scenario_.clients; ++client) {
        next_request(client);
    }
    while (summary_.events < events_max && !happenings_.empty() && summary_.violation.empty()) {
        step();
    }
    if (settle && summary_.violation.empty()) {
        settle_down();
    }
    summary_.virtual_time = now_.time_since_epoch();
    return std::move(summary_);
}

void World::step() {
    const Happening next = happenings_.top();
    happenings_.pop();
    now_ = next.at;
    next.act();
}

void World::later(Duration delay, std::function<void()> act) {
    happenings_.push({now_ + delay, ++order_, std::move(act)});
}

template <typename... Numbers>
void World::note(Numbers... numbers) {
    for (const auto number : {static_cast<std::uint64_t>(numbers)...}) {
        for (int byte = 0; byte < 8; ++byte) {
            summary_.hash = (summary_.hash ^ ((number >> (8 * byte)) & 0xff)) * kHashPrime;
        }
    }
}

void World::feed(const memory::Event& event) {
    ++summary_.events;
    note(event.index(), now_.time_since_epoch().count());
    memory::Effects effects = scheduler_.on(event, now_);
    if (sabotage) {
        sabotage(effects);
    }
    for (const memory::Effect& effect : effects) {
        note(effect.index());
        std::visit([this](const auto& one) { carry_out(one); }, effect);
    }
    check();
}

void World::carry_out(const memory::StartInstance& effect) {
    note(effect.instance.value, effect.model.value);
    ++summary_.loads;
    for (const auto& [id, engine] : engines_) {
        expect(engine.model != effect.model, "a model never has two instances");
    }
    engines_.emplace(effect.instance, Engine{.model = effect.model, .held = effect.reserved});
    const SimModel& model = scenario_.models[effect.model.value - 1];
    const bool fails = !quiet_ && rng_.chance(scenario_.faults.load_fails);
    const bool hangs = !quiet_ && rng_.chance(scenario_.faults.load_hangs);
    const Duration takes =
        scaled(model.traits.load_time, hangs ? kHangFactor : 0.7 + 0.6 * rng_.unit());
    later(takes, [this, id = effect.instance, fails] {
        const auto found = engines_.find(id);
        if (found == engines_.end() || found->second.stopping) {
            return;  // it was stopped while it loaded
        }
        Engine& engine = found->second;
        if (fails) {
            end_engine(id);
            return;
        }
        engine.ready = true;
        engine.held = scenario_.models[engine.model.value - 1].measured;
        may_be_over_ = true;
        feed(memory::InstanceReady{id, engine.held});
    });
}

void World::carry_out(const memory::StopInstance& effect) {
    note(effect.instance.value, effect.reason);
    Engine& engine = engines_.at(effect.instance);
    expect(!engine.stopping, "an instance is stopped once");
    for (const auto& [id, request] : requests_) {
        expect(request.fate != Fate::granted || request.instance != effect.instance,
               "an instance in use is never evicted");
    }
    summary_.evictions += effect.reason == memory::StopReason::evicted ? 1 : 0;
    engine.stopping = true;
    later(kStopTime, [this, id = effect.instance] { end_engine(id); });
}

void World::carry_out(const memory::GrantLease& effect) {
    note(effect.request.value, effect.instance.value);
    const auto found = requests_.find(effect.request);
    expect(found != requests_.end() && found->second.fate == Fate::waiting,
           "a request is answered once");
    if (!summary_.violation.empty()) {
        return;
    }
    const Engine& engine = engines_.at(effect.instance);
    expect(engine.ready && !engine.stopping, "a lease is on an instance that is ready");
    Request& request = found->second;
    request.fate = Fate::granted;
    request.instance = effect.instance;
    summary_.waits.push_back(now_ - request.arrived);
    const RequestId id = effect.request;
    if (!quiet_ && rng_.chance(scenario_.faults.client_leaves)) {
        // Left between grant and receipt: whoever carries the answer ends the lease.
        later(Duration(0), [this, id] {
            ++summary_.cancelled;
            end_request(id, requests_.at(id));
            feed(memory::LeaseEnded{id});
        });
        return;
    }
    const SimModel& model = scenario_.models[request.model.value - 1];
    const Duration takes = random_duration(rng_, model.serve_mean);
    if (!quiet_ && rng_.chance(scenario_.faults.crash)) {
        later(scaled(takes, rng_.unit()), [this, instance = effect.instance] { crash(instance); });
    }
    later(takes, [this, id] {
        const auto at = requests_.find(id);
        if (at == requests_.end() || at->second.fate != Fate::granted) {
            return;  // its instance crashed
        }
        ++summary_.served;
        summary_.latencies.push_back(now_ - at->second.arrived);
        end_request(id, at->second);
        feed(memory::LeaseEnded{id});
    });
}

void World::carry_out(const memory::RefuseRequest& effect) {
    note(effect.request.value, effect.reason);
    const auto found = requests_.find(effect.request);
    expect(found != requests_.end() && found->second.fate == Fate::waiting,
           "a request is answered once");
    if (found != requests_.end()) {
        ++summary_.refused;
        end_request(effect.request, found->second);
    }
}

void World::carry_out(const memory::WakeAt& effect) {
    note(effect.at.time_since_epoch().count());
    const std::uint64_t generation = ++wake_generation_;
    later(std::max(effect.at - now_, Duration(0)), [this, generation] {
        if (generation == wake_generation_) {
            feed(memory::TimerFired{});
        }
    });
}

/// The client hears of the end of its request, and thinks of the next one.
void World::end_request(RequestId id, Request& request) {
    const std::size_t client = request.client;
    request.fate = Fate::ended;
    requests_.erase(id);
    next_request(client);
}

void World::next_request(std::size_t client) {
    if (quiet_) {
        return;
    }
    later(random_duration(rng_, scenario_.think_mean), [this, client] { arrive(client); });
}

void World::arrive(std::size_t client) {
    if (quiet_ || (scenario_.requests_max != 0 && summary_.arrived >= scenario_.requests_max)) {
        return;
    }
    ++summary_.arrived;
    if (rng_.chance(scenario_.faults.budget_changes)) {
        may_be_over_ = true;
        const double factor = 0.8 + 0.4 * rng_.unit();
        const auto bytes =
            static_cast<double>(scenario_.budget[memory::kHostDevice].count()) * factor;
        budget_ = Footprint::host(Bytes(static_cast<std::int64_t>(bytes)));
        feed(memory::BudgetChanged{budget_});
    }
    if (rng_.chance(scenario_.faults.unload)) {
        feed(memory::UnloadRequested{ModelId{1 + rng_.below(scenario_.models.size())}});
    }
    const RequestId id{++last_request_.value};
    const ModelId model{1 + workload_.next_model(client)};
    requests_.emplace(id, Request{.client = client, .model = model, .arrived = now_});
    const bool leaves = rng_.chance(scenario_.faults.client_leaves);
    if (leaves) {
        later(random_duration(rng_, seconds(1)), [this, id] {
            const auto found = requests_.find(id);
            if (found != requests_.end() && found->second.fate == Fate::waiting) {
                ++summary_.cancelled;
                end_request(id, found->second);
                feed(memory::RequestCancelled{id});
            }
        });
    }
    feed(memory::RequestArrived{id, model, std::nullopt});
}

void World::crash(InstanceId instance) {
    const auto engine = engines_.find(instance);
    if (engine == engines_.end() || engine->second.stopping) {
        return;
    }
    end_engine(instance);
    // Its requests notice their broken connections, some before and some after the next event.
    std::vector<RequestId> hit;
    for (const auto& [id, request] : requests_) {
        if (request.fate == Fate::granted && request.instance == instance) {
            hit.push_back(id);
        }
    }
    for (const RequestId id : hit) {
        ++summary_.crashed;
        end_request(id, requests_.at(id));
        feed(memory::LeaseEnded{id});
    }
}

void World::end_engine(InstanceId instance) {
    engines_.erase(instance);
    feed(memory::InstanceGone{instance});
}

void World::expect(bool holds, const std::string& promise) {
    if (!holds && summary_.violation.empty()) {
        summary_.violation = promise;
    }
}

void World::check() {
    scheduler_.check_invariants();
    Footprint held;
    for (const auto& [id, engine] : engines_) {
        held += engine.held;
    }
    const bool over = !held.fits(budget_);
    // Over the budget only after it shrank or an instance grew, and then never more than before.
    expect(!over || may_be_over_ || held.fits(held_before_), "the budget holds");
    if (!over) {
        may_be_over_ = false;
    }
    held_before_ = held;
}

bool World::step_until(const std::function<bool()>& done, TimePoint deadline) {
    while (!done() && !happenings_.empty() && happenings_.top().at <= deadline &&
           summary_.violation.empty()) {
        step();
    }
    return done();
}

void World::settle_down() {
    quiet_ = true;
    budget_ = scenario_.budget;
    feed(memory::BudgetChanged{budget_});
    expect(step_until([this] { return requests_.empty(); }, now_ + kSettleMax),
           "every request ends when faults and arrivals stop");
    feed(memory::DrainStarted{});
    expect(step_until([this] { return engines_.empty(); }, now_ + kSettleMax),
           "a drain ends with no instance left");
    expect(summary_.arrived ==
               summary_.served + summary_.refused + summary_.cancelled + summary_.crashed,
           "every request ends exactly once");
}

Scenario random_scenario(std::uint64_t seed) {
    Rng rng(seed ^ 0x5eedU);
    Scenario scenario;
    const std::size_t models = 1 + rng.below(24);
    Bytes largest;
    Bytes sum;
    for (std::size_t i = 0; i < models; ++i) {
        SimModel model;
        const Bytes bytes = 1_MiB * rng.between(50, 14'000);
        model.traits.footprint = Footprint::host(bytes);
        const double noise =
            0.85 + 0.25 * rng.unit();  // mostly below the estimate, sometimes above
        model.measured = Footprint::host(
            Bytes(static_cast<std::int64_t>(static_cast<double>(bytes.count()) * noise)));
        model.traits.load_time = milliseconds(200) + milliseconds(bytes.count() / 1'000'000);
        model.traits.lease_limit = static_cast<std::uint32_t>(1 + rng.below(4));
        model.traits.queue_limit =
            rng.chance(0.2) ? 1 : static_cast<std::uint32_t>(1 + rng.below(64));
        model.traits.pinned = rng.chance(0.05);
        model.traits.priority = rng.chance(0.2) ? static_cast<std::int32_t>(rng.between(-2, 2)) : 0;
        if (rng.chance(0.1)) {
            model.traits.keep_alive = std::nullopt;
        } else if (rng.chance(0.2)) {
            model.traits.keep_alive = Duration(0);
        } else {
            model.traits.keep_alive = milliseconds(rng.between(1, 600'000));
        }
        model.serve_mean = milliseconds(rng.between(5, 3'000));
        largest = std::max(largest, bytes);
        sum += bytes;
        scenario.models.push_back(model);
    }
    const Bytes barely = largest;
    const Bytes half = std::max(largest, Bytes(sum.count() / 2));
    scenario.budget = Footprint::host(rng.chance(0.2) ? barely : rng.chance(0.5) ? half : sum);
    scenario.options.max_wait =
        rng.chance(0.1) ? milliseconds(1) : milliseconds(rng.between(100, 60'000));
    scenario.options.min_residency = milliseconds(rng.between(0, 10'000));
    const bool faulty = rng.chance(0.8);
    if (faulty) {
        scenario.faults = {.load_fails = 0.1 * rng.unit(),
                           .load_hangs = 0.02 * rng.unit(),
                           .crash = 0.05 * rng.unit(),
                           .client_leaves = 0.2 * rng.unit(),
                           .budget_changes = 0.01 * rng.unit(),
                           .unload = 0.02 * rng.unit()};
    }
    scenario.pattern = static_cast<Pattern>(rng.below(5));
    scenario.clients = 1 + rng.below(64);
    scenario.think_mean = milliseconds(rng.between(1, 2'000));
    return scenario;
}

}  // namespace drover::sim

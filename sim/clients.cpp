#include "clients.hpp"

#include <algorithm>

namespace drover::sim {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

namespace {

/// With bursts, everybody who thinks comes back at a multiple of this.
constexpr Duration kBurstEvery = seconds(5);

/// How long a client that will leave has patience, on average.
constexpr Duration kPatienceMean = seconds(1);

Duration exponential(Rng& rng, Duration mean) {
    const double drawn = rng.exponential(std::chrono::duration<double>(mean).count());
    return duration_cast<Duration>(std::chrono::duration<double>(drawn));
}

}  // namespace

Clients::Clients(Agenda& agenda,
                 Processor& processor,
                 Rng& rng,
                 Faults& faults,
                 const Scenario& scenario,
                 SimEngines& engines,
                 Feed feed)
    : agenda_(agenda),
      processor_(processor),
      rng_(rng),
      faults_(faults),
      scenario_(scenario),
      engines_(engines),
      feed_(std::move(feed)),
      workload_(scenario.pattern, scenario.models.size(), scenario.clients, rng) {}

void Clients::begin() {
    for (std::size_t client = 0; client < scenario_.clients; ++client) {
        think(client);
    }
}

void Clients::think(std::size_t client) {
    if (silent_) {
        return;
    }
    Duration pause = exponential(rng_, scenario_.think_mean);
    if (scenario_.bursts) {
        pause = kBurstEvery - agenda_.now().time_since_epoch() % kBurstEvery;
    }
    agenda_.after(pause, [this, client] { ask(client); });
}

void Clients::ask(std::size_t client) {
    if (silent_ || (scenario_.requests_max != 0 && fares_.arrived >= scenario_.requests_max)) {
        return;
    }
    ++fares_.arrived;
    const RequestId id{++last_request_.value};
    const ModelId model{1 + workload_.next_model(client)};
    requests_.emplace(id, Request{.client = client, .model = model, .arrived = agenda_.now()});
    if (faults_.happens(&FaultRates::client_leaves)) {
        agenda_.after(exponential(rng_, kPatienceMean), [this, id] { leave(id); });
    }
    memory::RequestArrived event{id, model};
    if (rng_.chance(scenario_.own_keep_alive)) {
        event.keep_alive = milliseconds(rng_.between(0, 10'000));
    }
    feed_(event);
}

void Clients::carry_out(const memory::GrantLease& effect) {
    Request& request = requests_.at(effect.request);
    request.instance = effect.instance;
    fares_.waits.push_back(agenda_.now() - request.arrived);
    const RequestId id = effect.request;
    if (faults_.happens(&FaultRates::client_leaves)) {
        // Between grant and receipt: its cancellation crosses the grant, and whoever carries the
        // grant ends the lease.
        agenda_.after(Duration(0), [this, id] {
            feed_(memory::RequestCancelled{id});
            leave(id);
        });
        return;
    }
    const SimModel& model = scenario_.models[request.model.value - 1];
    const Duration work = nanoseconds(
        rng_.between(nanoseconds(model.serve_min).count(), nanoseconds(model.serve_max).count()));
    if (faults_.happens(&FaultRates::crash)) {
        agenda_.after(duration_cast<Duration>(work * rng_.unit()),
                      [this, instance = effect.instance] { crash(instance); });
    }
    request.job = processor_.run(work, [this, id] { finish(id); });
}

void Clients::carry_out(const memory::RefuseRequest& effect) {
    ++fares_.refused;
    end(effect.request);
}

void Clients::leave(RequestId id) {
    const auto found = requests_.find(id);
    if (found == requests_.end()) {
        return;
    }
    ++fares_.cancelled;
    const bool waits = !found->second.instance;
    processor_.drop(found->second.job);
    end(id);
    if (waits) {
        feed_(memory::RequestCancelled{id});
    } else {
        feed_(memory::LeaseEnded{id});
    }
}

void Clients::finish(RequestId id) {
    const Request& request = requests_.at(id);
    const InstanceId instance = request.instance;
    ++fares_.served;
    fares_.latencies.push_back(agenda_.now() - request.arrived);
    fares_.last_served = agenda_.now();
    end(id);
    feed_(memory::LeaseEnded{id});
    if (faults_.happens(&FaultRates::grows)) {
        engines_.grow(instance);
    }
}

/// An engine dies; its requests notice their broken connections, some before its exit is noticed,
/// some after.
void Clients::crash(InstanceId instance) {
    std::vector<RequestId> hit;
    for (const auto& [id, request] : requests_) {
        if (request.instance == instance) {
            hit.push_back(id);
        }
    }
    std::sort(hit.begin(), hit.end());
    std::vector<RequestId> late;
    for (const RequestId id : hit) {
        ++fares_.crashed;
        processor_.drop(requests_.at(id).job);
        end(id);
        if (rng_.chance(0.5)) {
            late.push_back(id);
        } else {
            feed_(memory::LeaseEnded{id});
        }
    }
    engines_.crash(instance);
    for (const RequestId id : late) {
        feed_(memory::LeaseEnded{id});
    }
}

/// The client hears of the end of its request.
void Clients::end(RequestId id) {
    const auto ended = requests_.extract(id);
    think(ended.mapped().client);
}

}  // namespace drover::sim

#include "upstreams/balancer.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace drover::upstreams {

namespace {

/// An idle or a young server may have up to this many requests more than its share before
/// requests leave the replica that knows them.
constexpr std::uint64_t kSpareRequests = 1;
/// ... and beyond that a quarter more than the average (consistent hashing with bounded loads).
constexpr std::uint64_t kLoadPercent = 125;

/// Weight of the last value in a smoothed one.
constexpr int kSmoothing = 8;

/// Rendezvous hashing: each pair has its weight, so that a replica which leaves moves only the
/// requests that were its own.
std::uint64_t weight(std::uint64_t affinity, Replica replica) {
    std::uint64_t x = affinity + (replica + 1) * 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

}  // namespace

Balancer::Balancer(BalancerOptions options, std::size_t replicas)
    : options_(options),
      outliers_(options.outliers, replicas),
      replicas_(replicas, State{.circuit = Circuit(options.circuit)}) {
    DROVER_ASSERT(replicas > 0 && options.concurrency > 0 && options.circuit.failures > 0);
}

Effects Balancer::take_effects() {
    return std::exchange(effects_, {});
}

bool Balancer::takes(Replica replica, const Ask& ask, TimePoint now) const {
    const State& state = replicas_[replica];
    return state.circuit.state() == CircuitState::closed && state.rests_until <= now &&
           std::find(ask.tried.begin(), ask.tried.end(), replica) == ask.tried.end();
}

std::optional<Replica> Balancer::choose(const Ask& ask, TimePoint now) const {
    std::optional<Replica> least;
    std::optional<Replica> preferred;
    std::uint64_t usable = 0;
    std::uint64_t leases = 0;
    const auto rank = [this](Replica one) {
        return std::pair(replicas_[one].leases, replicas_[one].last_grant);
    };
    for (Replica one = 0; one < replicas_.size(); ++one) {
        if (!takes(one, ask, now)) {
            continue;
        }
        ++usable;
        leases += replicas_[one].leases;
        if (has_room(one) && (!least.has_value() || rank(one) < rank(*least))) {
            least = one;
        }
        if (ask.affinity != 0 && (!preferred.has_value() ||
                                  weight(ask.affinity, one) > weight(ask.affinity, *preferred))) {
            preferred = one;
        }
    }
    if (preferred.has_value() && has_room(*preferred)) {
        const std::uint64_t own = replicas_[*preferred].leases;
        const bool bounded =
            own <= kSpareRequests || own * usable * 100 <= (leases + 1) * kLoadPercent;
        return bounded ? preferred : least;
    }
    return least;
}

bool Balancer::may_wait(const Ask& ask, TimePoint now) const {
    for (Replica one = 0; one < replicas_.size(); ++one) {
        if (takes(one, ask, now)) {
            return true;
        }
    }
    return false;
}

bool Balancer::available(TimePoint now) const {
    return may_wait(Ask{}, now);
}

void Balancer::grant(const Ask& ask, Replica replica, TimePoint now) {
    State& state = replicas_[replica];
    ++state.leases;
    state.last_grant = ++last_grant_;
    granted_.emplace(ask.request, Granted{replica, state.circuit.era()});
    std::size_t others = 0;
    for (Replica one = 0; one < replicas_.size(); ++one) {
        others += one != replica && takes(one, ask, now) ? 1 : 0;
    }
    effects_.emplace_back(Grant{ask.request, replica, others});
}

void Balancer::refuse(const Ask& ask, TimePoint now) {
    Refuse how{ask.request, RefuseReason::all_open};
    std::optional<TimePoint> soonest;
    const auto consider = [&](TimePoint when) {
        soonest = soonest.has_value() ? std::min(*soonest, when) : when;
    };
    for (const State& state : replicas_) {
        if (state.circuit.state() == CircuitState::open) {
            consider(state.circuit.half_opens_at());
        } else if (state.circuit.state() == CircuitState::closed && state.rests_until > now) {
            how.reason = RefuseReason::all_resting;
            consider(state.rests_until);
        }
    }
    if (soonest.has_value()) {
        how.retry_after = std::max(*soonest - now, Duration());
    }
    effects_.emplace_back(how);
}

Effects Balancer::arrive(Ask ask, TimePoint now) {
    advance(now);
    serve_waiting(now);  // whom time has helped came earlier
    const auto chosen = choose(ask, now);
    if (chosen.has_value()) {
        grant(ask, *chosen, now);
    } else if (!may_wait(ask, now)) {
        refuse(ask, now);
    } else if (queue_.size() >= options_.queue) {
        effects_.emplace_back(Refuse{ask.request, RefuseReason::queue_full});
    } else {
        queue_.push_back(std::move(ask));
    }
    return take_effects();
}

Effects Balancer::cancel(RequestId request, TimePoint now) {
    queue_.remove_if([request](const Ask& ask) { return ask.request == request; });
    advance(now);
    serve_waiting(now);
    return take_effects();
}

Effects Balancer::end(RequestId request, const Report& report, TimePoint now) {
    const auto found = granted_.find(request);
    DROVER_ASSERT(found != granted_.end());
    const Granted granted = found->second;
    granted_.erase(found);
    --replicas_[granted.replica].leases;
    advance(now);
    note(granted.replica, granted, report, now);
    serve_waiting(now);
    return take_effects();
}

void Balancer::note(Replica replica, const Granted& granted, const Report& report, TimePoint now) {
    State& state = replicas_[replica];
    const CircuitState before = state.circuit.state();
    const bool current = granted.era == state.circuit.era();
    switch (report.outcome) {
        case Outcome::unknown:
            return;
        case Outcome::pushed_back:
            if (report.rest.has_value()) {
                const TimePoint until = now + std::min(*report.rest, options_.rest_max);
                state.rests_until = std::max(state.rests_until, until);
            }
            return;
        case Outcome::served:
            state.circuit.succeed(granted.era);
            if (report.first_byte > Duration()) {
                state.first_byte += (report.first_byte - state.first_byte) /
                                    (state.first_byte == Duration() ? 1 : kSmoothing);
            }
            break;
        case Outcome::failed:
            state.circuit.fail(granted.era, now);
            break;
    }
    if (current) {
        outliers_.note(replica, report.outcome == Outcome::failed, now);
    }
    turned(replica, before);
    if (report.outcome == Outcome::failed) {
        eject_if_outlier(replica, now);
    }
}

void Balancer::eject_if_outlier(Replica replica, TimePoint now) {
    std::vector<Replica> others;
    for (Replica one = 0; one < replicas_.size(); ++one) {
        if (one != replica && replicas_[one].circuit.state() == CircuitState::closed) {
            others.push_back(one);
        }
    }
    // At least half of them stay, however bad they are.
    const bool enough = others.size() * 2 >= replicas_.size();
    State& state = replicas_[replica];
    if (state.circuit.state() == CircuitState::closed && enough &&
        outliers_.stands_out(replica, others)) {
        state.circuit.trip(now);
        turned(replica, CircuitState::closed, true);
    }
}

void Balancer::turned(Replica replica, CircuitState before, bool outlier) {
    State& state = replicas_[replica];
    if (state.circuit.state() == before) {
        return;
    }
    if (state.circuit.state() == CircuitState::open) {
        outliers_.forget(replica);
        state.rests_until = {};
    }
    effects_.emplace_back(Turned{replica, state.circuit.state(), outlier});
}

void Balancer::probe(Replica replica) {
    replicas_[replica].probing = true;
    effects_.emplace_back(Probe{replica});
}

Effects Balancer::probed(Replica replica, bool alive, TimePoint now) {
    advance(now);
    State& state = replicas_[replica];
    DROVER_ASSERT(state.probing);
    state.probing = false;
    state.probe_at = now + options_.probe_every;
    const CircuitState before = state.circuit.state();
    if (before == CircuitState::half_open) {
        state.circuit.decide(alive, now);
    } else if (before == CircuitState::closed && !alive) {
        state.circuit.fail(state.circuit.era(), now);
    }
    turned(replica, before);
    serve_waiting(now);
    return take_effects();
}

void Balancer::advance(TimePoint now) {
    for (Replica one = 0; one < replicas_.size(); ++one) {
        State& state = replicas_[one];
        const CircuitState before = state.circuit.state();
        state.circuit.advance(now);
        turned(one, before);
        if (state.rests_until <= now) {
            state.rests_until = {};
        }
        const bool half_open = state.circuit.state() == CircuitState::half_open;
        const bool due = state.circuit.state() == CircuitState::closed && now >= state.probe_at;
        if (!state.probing && (half_open || due)) {
            probe(one);
        }
    }
}

Effects Balancer::tick(TimePoint now) {
    advance(now);
    serve_waiting(now);
    return take_effects();
}

void Balancer::serve_waiting(TimePoint now) {
    for (auto ask = queue_.begin(); ask != queue_.end();) {
        const auto chosen = choose(*ask, now);
        if (chosen.has_value()) {
            grant(*ask, *chosen, now);
        } else if (!may_wait(*ask, now)) {
            refuse(*ask, now);
        } else {
            ++ask;
            continue;
        }
        ask = queue_.erase(ask);
    }
}

std::optional<TimePoint> Balancer::next_deadline() const {
    std::optional<TimePoint> next;
    const auto consider = [&next](TimePoint when) {
        next = next.has_value() ? std::min(*next, when) : when;
    };
    for (const State& state : replicas_) {
        if (state.circuit.state() == CircuitState::open) {
            consider(state.circuit.half_opens_at());
        } else if (!state.probing) {
            consider(state.probe_at);
        }
        if (!queue_.empty() && state.rests_until > TimePoint()) {
            consider(state.rests_until);
        }
    }
    return next;
}

ReplicaView Balancer::view(Replica replica) const {
    const State& state = replicas_[replica];
    ReplicaView view{.state = state.circuit.state(),
                     .leases = state.leases,
                     .failures_in_a_row = state.circuit.failures_in_a_row(),
                     .first_byte = state.first_byte};
    if (view.state == CircuitState::open) {
        view.half_opens_at = state.circuit.half_opens_at();
    }
    if (state.rests_until > TimePoint()) {
        view.rests_until = state.rests_until;
    }
    return view;
}

void Balancer::check_invariants(TimePoint now) const {
    std::vector<std::uint32_t> leases(replicas_.size());
    for (const auto& [request, granted] : granted_) {
        ++leases[granted.replica];
    }
    for (Replica one = 0; one < replicas_.size(); ++one) {
        DROVER_ASSERT(replicas_[one].leases == leases[one]);
        DROVER_ASSERT(leases[one] <= options_.concurrency);
        const CircuitState state = replicas_[one].circuit.state();
        DROVER_ASSERT(state != CircuitState::half_open || replicas_[one].probing);
    }
    DROVER_ASSERT(queue_.size() <= options_.queue);
    for (const Ask& ask : queue_) {
        DROVER_ASSERT(!granted_.contains(ask.request));
        DROVER_ASSERT(!choose(ask, now).has_value());
        DROVER_ASSERT(may_wait(ask, now));
    }
}

}  // namespace drover::upstreams

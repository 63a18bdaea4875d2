// Which replica of a server gets a request, and which is left alone for a while. Pure; one thread
// at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "upstreams/circuit.hpp"
#include "upstreams/outliers.hpp"
#include "upstreams/report.hpp"

namespace drover::upstreams {

using Replica = std::size_t;  ///< counts from 0, in the order of the configuration

struct BalancerOptions {
    CircuitOptions circuit;
    OutlierOptions outliers;
    std::uint32_t concurrency = 64;  ///< requests that one replica is sent at once
    std::uint32_t queue = 64;        ///< requests that may wait; more are refused
    Duration probe_every = std::chrono::seconds(30);
    /// A server that asks for a longer rest is tried again after this.
    Duration rest_max = std::chrono::minutes(5);
};

/// A request that wants a replica.
struct Ask {
    RequestId request;
    /// Requests with the same number go to the same replica while that is no busier than others: it
    /// may have their beginning in its cache. 0: any will do.
    std::uint64_t affinity = 0;
    std::vector<Replica> tried{};  ///< failed this request already
};

/// The request may be sent to the replica until end().
struct Grant {
    RequestId request;
    Replica replica;
    std::size_t others;  ///< that could be tried when this one fails
};

enum class RefuseReason {
    queue_full,
    all_open,    ///< every circuit is open
    all_resting  ///< those that are not open want to be left alone
};

/// The request ends here. Replicas that it tried already are no others.
struct Refuse {
    RequestId request;
    RefuseReason reason;
    std::optional<Duration> retry_after{};
};

/// Find out whether the replica lives; answered by probed().
struct Probe {
    Replica replica;
};

/// For logs.
struct Turned {
    Replica replica;
    CircuitState state;
    bool outlier = false;  ///< opened because it failed more often than the others
};

using Effect = std::variant<Grant, Refuse, Probe, Turned>;
using Effects = std::vector<Effect>;

struct ReplicaView {
    CircuitState state = CircuitState::closed;
    std::uint32_t leases = 0;
    std::uint32_t failures_in_a_row = 0;
    std::optional<TimePoint> half_opens_at{};  ///< when open
    std::optional<TimePoint> rests_until{};
    Duration first_byte{};  ///< smoothed; 0: not known
};

/// Decides; never acts. Every call answers with effects in the order in which they are to be
/// carried out. Requests are served in the order in which they came, except that one which has
/// tried some replicas waits only for the others. REQUIRES: `now` never goes back.
class Balancer {
  public:
    Balancer(BalancerOptions options, std::size_t replicas);

    /// Answered by exactly one Grant or Refuse, at once or later, unless cancel() comes first.
    Effects arrive(Ask ask, TimePoint now);

    /// The request does not wait any more. Ignored when it is not waiting.
    Effects cancel(RequestId request, TimePoint now);

    /// The granted request is over. Exactly once a grant.
    Effects end(RequestId request, const Report& report, TimePoint now);

    /// Answers a Probe.
    Effects probed(Replica replica, bool alive, TimePoint now);

    /// To be called at next_deadline(), or at any other time.
    Effects tick(TimePoint now);
    std::optional<TimePoint> next_deadline() const;

    std::size_t replicas() const { return replicas_.size(); }
    ReplicaView view(Replica replica) const;
    std::size_t waiting() const { return queue_.size(); }
    /// Some replica takes requests, now or when others end.
    bool available(TimePoint now) const;

    /// Aborts when the book-keeping contradicts itself. For tests.
    void check_invariants(TimePoint now) const;

  private:
    struct State {
        Circuit circuit;
        std::uint32_t leases = 0;
        TimePoint rests_until{};
        TimePoint probe_at{};  ///< of a closed one
        bool probing = false;
        std::uint64_t last_grant = 0;
        Duration first_byte{};
    };

    struct Granted {
        Replica replica;
        std::uint64_t era;
    };

    bool takes(Replica replica, const Ask& ask, TimePoint now) const;
    bool has_room(Replica replica) const {
        return replicas_[replica].leases < options_.concurrency;
    }
    std::optional<Replica> choose(const Ask& ask, TimePoint now) const;
    bool may_wait(const Ask& ask, TimePoint now) const;
    void grant(const Ask& ask, Replica replica, TimePoint now);
    void refuse(const Ask& ask, TimePoint now);
    void serve_waiting(TimePoint now);
    void note(Replica replica, const Granted& granted, const Report& report, TimePoint now);
    void eject_if_outlier(Replica replica, TimePoint now);
    void turned(Replica replica, CircuitState before, bool outlier = false);
    void probe(Replica replica);
    void advance(TimePoint now);
    Effects take_effects();

    BalancerOptions options_;
    Outliers outliers_;
    std::vector<State> replicas_;
    std::list<Ask> queue_;
    std::unordered_map<RequestId, Granted> granted_;
    std::uint64_t last_grant_ = 0;
    Effects effects_;
};

}  // namespace drover::upstreams

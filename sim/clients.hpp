// The clients of the simulated machine: each asks, waits, is served, refused or leaves, thinks, and
// asks again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/agenda.hpp"
#include "base/rng.hpp"
#include "faults.hpp"
#include "memory/effects.hpp"
#include "processor.hpp"
#include "scenario.hpp"
#include "sim_effects.hpp"
#include "workload.hpp"

namespace drover::sim {

/// How the requests fared.
struct Fares {
    std::uint64_t arrived = 0, served = 0, refused = 0, cancelled = 0, crashed = 0;
    std::vector<Duration> waits;      ///< arrival to grant
    std::vector<Duration> latencies;  ///< arrival to answer
    TimePoint last_served{};
};

class Clients {
  public:
    Clients(Agenda& agenda,
            Processor& processor,
            Rng& rng,
            Faults& faults,
            const Scenario& scenario,
            SimEngines& engines,
            Feed feed);

    /// All clients begin to ask.
    void begin();
    /// No new requests from now on; those under way go on.
    void fall_silent() { silent_ = true; }

    void carry_out(const memory::GrantLease& effect);
    void carry_out(const memory::RefuseRequest& effect);

    /// Everybody has asked as often as the scenario says, and has the answers.
    bool done() const {
        return scenario_.requests_max != 0 && fares_.arrived >= scenario_.requests_max &&
               requests_.empty();
    }
    std::size_t under_way() const { return requests_.size(); }
    const Fares& fares() const { return fares_; }

  private:
    struct Request {
        std::size_t client;
        ModelId model;
        TimePoint arrived;
        InstanceId instance{};  ///< 0: waiting
        Processor::Job job = 0;
    };

    void think(std::size_t client);
    void ask(std::size_t client);
    void leave(RequestId id);
    void finish(RequestId id);
    void crash(InstanceId instance);
    void end(RequestId id);

    Agenda& agenda_;
    Processor& processor_;
    Rng& rng_;
    Faults& faults_;
    const Scenario& scenario_;
    SimEngines& engines_;
    Feed feed_;
    Workload workload_;
    std::unordered_map<RequestId, Request> requests_;
    RequestId last_request_{};
    Fares fares_;
    bool silent_ = false;
};

}  // namespace drover::sim

// Everything that a simulated run is made of: machine, models, clients, faults. Plain values.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "faults.hpp"
#include "memory/scheduler.hpp"
#include "workload.hpp"

namespace drover::sim {

/// A load that hangs takes this many times as long as it should.
inline constexpr int kHangFactor = 100;

/// Waking up takes this part of a load.
inline constexpr int kWakeShare = 5;

/// `factor` times the bytes of each device, rounded down.
memory::Footprint scaled(const memory::Footprint& footprint, double factor);

/// One modelled model.
struct SimModel {
    memory::ModelTraits traits;
    double truth = 1;      ///< bytes it really takes, over the estimate
    Duration load_time{};  ///< mean; the traits' is what the scheduler believes
    Duration serve_min{};  ///< one request computes for at least this ...
    Duration serve_max{};  ///< ... and at most this
};

struct Scenario {
    std::vector<SimModel> models;
    memory::Footprint budget;
    memory::SchedulerOptions options{};
    FaultRates faults{};
    Pattern pattern = Pattern::zipf;
    std::size_t clients = 8;
    Duration think_mean{};         ///< between an answer and the next request of a client
    bool bursts = false;           ///< clients that think come back all at the same time
    double own_keep_alive = 0;     ///< share of requests that bring a keep_alive
    unsigned cores = 0;            ///< shared by requests and loads; 0: as many as there is work
    std::size_t requests_max = 0;  ///< then clients fall silent; 0: no limit

    /// Longest that a request may wait when nothing goes wrong, whatever others ask for.
    Duration wait_bound() const;
};

/// 1 to 64 models on the host and up to 3 GPUs, knobs at their extremes now and then, faults in
/// most.
Scenario random_scenario(std::uint64_t seed);

/// Three small models, room for two, 60 requests from 8 clients on two cores: the mixed load in
/// which other servers are measured.
Scenario trio();

/// One hot model with more clients than leases, two others asked for now and then, room for one.
Scenario starving();

/// Agents that call four models in turn, room for two, nobody else.
Scenario agents();

/// One to three models that take half to all of the memory, and small ones that fill it, all asked
/// for alike.
Scenario besieged(std::uint64_t seed);

/// `models` models under Zipf's law, room for a tenth or the largest, `requests` requests.
Scenario crowd(std::size_t models, std::size_t requests);

/// By name, as `drover-sim --scenario` knows them, but for the crowd; `seed` is used by "random"
/// and "besieged".
std::optional<Scenario> scenario_named(std::string_view name, std::uint64_t seed);

}  // namespace drover::sim

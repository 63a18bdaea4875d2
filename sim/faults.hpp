// What goes wrong in the simulated world, how often, and when it stops.
#pragma once

#include <cstdint>

#include "base/rng.hpp"

namespace drover::sim {

/// Probabilities, each at its own occasion.
struct FaultRates {
    double load_fails = 0;      ///< a load ends in an exit
    double load_hangs = 0;      ///< a load takes 100 times as long
    double sleep_fails = 0;     ///< an instance ends instead of falling asleep
    double crash = 0;           ///< an instance dies while it serves a request
    double grows = 0;           ///< at the end of a request: the instance takes more than before
    double client_leaves = 0;   ///< a client gives up, waiting or between grant and receipt
    double budget_changes = 0;  ///< at an arrival: the budget moves by up to a fifth
    double unload = 0;          ///< at an arrival: somebody unloads a model
    double load = 0;            ///< at an arrival: somebody loads a model ahead of need
    double redeclare = 0;       ///< at an arrival: a model's settings change

    bool none() const { return *this == FaultRates(); }
    bool operator==(const FaultRates&) const = default;
};

/// Asked at each occasion whether the fault happens.
class Faults {
  public:
    Faults(const FaultRates& rates, Rng& rng) : rates_(rates), rng_(rng) {}

    bool happens(double FaultRates::*fault) {
        const bool yes = rng_.chance(rates_.*fault) && !over_;
        happened_ += yes ? 1 : 0;
        return yes;
    }

    /// From now on nothing goes wrong.
    void stop() { over_ = true; }
    std::uint64_t happened() const { return happened_; }

  private:
    FaultRates rates_;
    Rng& rng_;
    bool over_ = false;
    std::uint64_t happened_ = 0;
};

}  // namespace drover::sim

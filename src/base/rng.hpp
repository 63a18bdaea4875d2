// The only source of randomness, seeded, with the same numbers on every platform. Not thread-safe.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>

namespace drover {

/// A seeded generator. std::mt19937_64 is specified bit by bit; the standard distributions are not,
/// so the few that are needed are here.
class Rng {
  public:
    explicit Rng(std::uint64_t seed) : engine_(seed) {}

    /// Uniform in [0, bound). REQUIRES: bound > 0. The bias of the modulo is below 2^-32 for the
    /// small bounds used here.
    std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

    /// Uniform in [low, high].
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low) + 1));
    }

    /// Uniform in [0, 1).
    double unit() { return static_cast<double>(engine_() >> 11) * 0x1.0p-53; }

    /// True with probability `p`.
    bool chance(double p) { return unit() < p; }

    /// Exponentially distributed with the given mean.
    double exponential(double mean) { return -mean * std::log1p(-unit()); }

  private:
    std::mt19937_64 engine_;
};

}  // namespace drover

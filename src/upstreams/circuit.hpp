// The circuit breaker of one server. Pure; one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>

#include "base/units.hpp"

namespace drover::upstreams {

//   closed --failures in a row, or trip()--> open --time has passed--> half_open
//     ^                                        ^                          | |
//     |                                        +-----probe failed---------+ |
//     +----------------------------------------------probe succeeded--------+
enum class CircuitState {
    closed,    ///< requests are sent to the server
    open,      ///< none are
    half_open  ///< none are, but one probe decides
};

struct CircuitOptions {
    std::uint32_t failures = 5;  ///< in a row open it
    /// How long it stays open: the first time, then doubling up to the other.
    Duration open_first = std::chrono::seconds(5);
    Duration open_max = std::chrono::minutes(1);
};

class Circuit {
  public:
    explicit Circuit(CircuitOptions options) : options_(options), open_for_(options.open_first) {}

    CircuitState state() const { return state_; }

    /// Changes whenever the state does. What was sent before says nothing about the state after.
    std::uint64_t era() const { return era_; }

    /// When an open circuit becomes half open. REQUIRES: state() is open.
    TimePoint half_opens_at() const { return half_opens_at_; }

    std::uint32_t failures_in_a_row() const { return in_a_row_; }

    /// A request that was sent in `era` was served.
    void succeed(std::uint64_t era);

    /// A request that was sent in `era` failed, and so did a probe of a closed circuit.
    void fail(std::uint64_t era, TimePoint now);

    /// Opens a closed circuit whatever the row is.
    void trip(TimePoint now);

    /// The time has passed: open becomes half open when it is due.
    void advance(TimePoint now);

    /// The probe of a half-open circuit has an answer. A probe is no request: one failure opens the
    /// circuit again, and for longer, until a request has been served.
    void decide(bool alive, TimePoint now);

  private:
    void enter(CircuitState state);
    void open(TimePoint now);

    CircuitOptions options_;
    CircuitState state_ = CircuitState::closed;
    std::uint64_t era_ = 0;
    std::uint32_t in_a_row_ = 0;
    Duration open_for_;
    TimePoint half_opens_at_{};
};

}  // namespace drover::upstreams

#include "upstreams/circuit.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace drover::upstreams {

void Circuit::enter(CircuitState state) {
    state_ = state;
    ++era_;
}

void Circuit::open(TimePoint now) {
    half_opens_at_ = now + open_for_;
    open_for_ = std::min(open_for_ * 2, options_.open_max);
    enter(CircuitState::open);
}

void Circuit::succeed(std::uint64_t era) {
    if (era == era_ && state_ == CircuitState::closed) {
        in_a_row_ = 0;
        open_for_ = options_.open_first;
    }
}

void Circuit::fail(std::uint64_t era, TimePoint now) {
    if (era == era_ && state_ == CircuitState::closed && ++in_a_row_ >= options_.failures) {
        open(now);
    }
}

void Circuit::trip(TimePoint now) {
    if (state_ == CircuitState::closed) {
        open(now);
    }
}

void Circuit::advance(TimePoint now) {
    if (state_ == CircuitState::open && now >= half_opens_at_) {
        enter(CircuitState::half_open);
    }
}

void Circuit::decide(bool alive, TimePoint now) {
    DROVER_ASSERT(state_ == CircuitState::half_open);
    if (alive) {
        in_a_row_ = options_.failures - 1;
        enter(CircuitState::closed);
    } else {
        open(now);
    }
}

}  // namespace drover::upstreams

// One instance as the scheduler knows it, and the life that it has. Plain values; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/footprint.hpp"

namespace drover::memory {

//   (none) --StartInstance--> loading --InstanceReady--> ready --StopInstance--> stopping
//                                |                         |                        |
//                                +------InstanceGone-------+------InstanceGone------+--> (none)
//
//   ready --SleepInstance--> falling_asleep --InstanceAsleep--> asleep --WakeInstance--> loading
//                                  |                              |
//                                  +--InstanceGone--> (none)      +--StopInstance--> stopping
// A ready instance may be `retiring`: it serves those who came before a certain request, then
// nobody, and is stopped when it is idle. One that retires for a waiting model or for a smaller
// budget returns to service when it is no longer in the way.
enum class InstanceState {
    loading,  ///< or waking up
    ready,
    falling_asleep,
    asleep,
    stopping
};

/// One instance as seen from outside; for `drover ps`, metrics and invariants.
struct InstanceView {
    InstanceId instance;
    ModelId model;
    InstanceState state;
    bool retiring;
    Footprint held;         ///< charged to the budget
    std::size_t placement;  ///< index among its model's when it started
    std::uint32_t leases;
    std::optional<TimePoint> expires_at;  ///< when idle and with a keep_alive that ends
};

}  // namespace drover::memory

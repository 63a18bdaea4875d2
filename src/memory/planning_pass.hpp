// One pass of the scheduler over the models that wait for memory. Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <vector>

#include "base/ids.hpp"
#include "memory/events.hpp"
#include "memory/footprint.hpp"
#include "memory/waiting_line.hpp"

namespace drover::memory {

/// What a pass has given away so far.
struct PlanningPass {
    /// Where the model that is looked at may be put, with what it still needs there.
    struct Option {
        const Placement* placement;
        Footprint needed;
    };

    /// Where a pass ended before it had seen all.
    struct End {
        bool owed;
        WaitingLine::Place place;
    };

    Footprint ceiling;      ///< the most that a model could ever get
    Footprint claimed{};    ///< by models that cannot start yet
    Footprint promised{};   ///< to them: held by idle and by retiring instances
    Footprint exhausted{};  ///< missed by models that are owed it but must wait for loads to end
    Footprint retiring{};   ///< missed by models for which busy instances are to leave
    /// Asleep, and left to their models, which were looked at already.
    std::vector<InstanceId> set_aside{};
    std::size_t blocked = 0;
    std::vector<Option> options{};  ///< of the model that is looked at
};

}  // namespace drover::memory

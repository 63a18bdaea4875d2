// Which eviction policy fits the traffic: each one runs beside the others on what was asked lately,
// and the one that would have loaded least is followed. Pure; not thread-safe.
#pragma once

#include <array>
#include <cstddef>

#include "base/ids.hpp"
#include "base/units.hpp"
#include "memory/eviction.hpp"
#include "memory/footprint.hpp"
#include "memory/usage.hpp"

namespace drover::memory {

/// What a shadow must know of the model that is visited.
struct ShadowVisit {
    ModelId model;
    std::int32_t priority = 0;
    Footprint needed;
    Duration load_time{};
    TimePoint at{};
};

/// Keeps one shadow for each policy: the models that would be resident had that policy always
/// decided, and the seconds of loading that it would have cost, old ones counting less. Costs
/// O(policies x log residents) a visit.
class PolicySelector {
  public:
    /// The policy to follow.
    EvictionPolicy current() const { return kEvictionPolicies[current_]; }

    /// Lets every shadow serve the visit within `budget`. `usage` has noted it already. True when
    /// current() changed.
    bool note(const ShadowVisit& visit, const Usage& usage, const Footprint& budget);

  private:
    struct Shadow {
        LeavingOrder residents;  ///< a model's id stands for its instance's
        double cost = 0;         ///< seconds of loading
    };

    static void serve(Shadow& shadow,
                      EvictionPolicy policy,
                      const ShadowVisit& visit,
                      const Usage& usage,
                      const Footprint& budget);

    /// Until there is evidence: the one whose worst case is the mildest (bench/eviction).
    static constexpr std::size_t kFirst = static_cast<std::size_t>(EvictionPolicy::gdsf_4);

    std::array<Shadow, kEvictionPolicies.size()> shadows_;
    std::size_t current_ = kFirst;
};

}  // namespace drover::memory

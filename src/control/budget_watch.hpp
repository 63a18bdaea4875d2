// How much memory the engines may have at present, on each device. On the loop only.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/units.hpp"
#include "control/device.hpp"
#include "control/scales.hpp"
#include "memory/footprint.hpp"
#include "memory/pressure.hpp"

namespace drover::control {

/// What is left to other programs beyond what they have.
struct KeptFree {
    Bytes host;
    Bytes gpu;  ///< on each of them
};

/// Our own memory is charged in steps, so that small changes do not move the budget.
inline constexpr Bytes kOwnMemoryStep = 16_MiB;

/// What the host's budget is charged for Drover itself, which has `total` bytes.
Bytes own_share(Bytes total);

/// What is configured, less what other programs have taken of it, less Drover's own memory. A GPU
/// that does not answer any more has nothing.
class BudgetWatch {
  public:
    /// `budget` of the host and of all devices. `kept_free` unset: the budgets are ours whatever
    /// others do.
    BudgetWatch(const memory::Footprint& budget,
                std::vector<Device> devices,
                std::optional<KeptFree> kept_free);

    /// Takes note of what Drover weighs itself.
    void charge(const Weighing& weighing);

    /// Takes note of everything. `held`: what the engines are charged.
    void review(const Weighing& weighing, const memory::Footprint& held);

    /// For the engines.
    memory::Footprint available() const;
    /// The devices whose memory is counted apart, the host first.
    std::vector<std::size_t> slots() const;
    /// Drover's own: a peak that was there once comes again, so it never falls.
    Bytes own() const { return own_; }
    Bytes configured(std::size_t slot) const { return pressures_[slot].budget(); }
    /// Of the configured budget, by other programs.
    Bytes taken(std::size_t slot) const {
        return pressures_[slot].budget() - pressures_[slot].current();
    }

  private:
    void note(std::size_t slot, const memory::MemorySample& sample, const std::string& name);

    bool gives_back_;
    std::vector<Device> devices_;
    std::vector<memory::Pressure> pressures_;  ///< by slot
    Bytes own_{};
};

}  // namespace drover::control

// How much memory the engines may have at present. On the loop only.
#pragma once

#include <optional>
#include <vector>

#include <sys/types.h>

#include "base/units.hpp"
#include "memory/pressure.hpp"
#include "platform/async.hpp"
#include "platform/blocking_pool.hpp"

namespace drover::control {

/// What is configured, less what other programs have taken of it, less Drover's own memory.
class BudgetWatch {
  public:
    /// `kept_free` is left to other programs beyond what they have; unset: the budget is ours
    /// whatever they do. `pool` outlives it.
    BudgetWatch(platform::BlockingPool& pool, Bytes budget, std::optional<Bytes> kept_free);

    /// Weighs Drover alone, at once.
    void weigh_ourselves();

    /// Weighs Drover, the `engines` (their process groups) and the machine. `held`: what the
    /// engines are charged.
    platform::Task<> review(std::vector<pid_t> engines, Bytes held);

    /// For the engines.
    Bytes available() const;
    /// Drover's own: a peak that was there once comes again, so it never falls.
    Bytes own() const { return own_; }
    Bytes configured() const { return pressure_.budget(); }
    /// Of the configured budget, by other programs.
    Bytes taken() const { return pressure_.budget() - pressure_.current(); }

  private:
    void charge(Bytes own);

    platform::BlockingPool& pool_;
    bool gives_back_;
    memory::Pressure pressure_;
    Bytes own_{};
};

}  // namespace drover::control

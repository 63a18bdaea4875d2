// The engines of the simulated machine: carries out what the scheduler asks, takes time for it, and
// fails when the faults say so.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>

#include "base/agenda.hpp"
#include "base/rng.hpp"
#include "faults.hpp"
#include "memory/effects.hpp"
#include "memory/events.hpp"
#include "processor.hpp"
#include "scenario.hpp"

namespace drover::sim {

/// Takes the world's events. Never called from within carry_out().
using Feed = std::function<void(const memory::Event&)>;

class SimEngines {
  public:
    SimEngines(Agenda& agenda,
               Processor& processor,
               Rng& rng,
               Faults& faults,
               const Scenario& scenario,
               Feed feed)
        : agenda_(agenda),
          processor_(processor),
          rng_(rng),
          faults_(faults),
          scenario_(scenario),
          feed_(std::move(feed)) {}

    void carry_out(const memory::StartInstance& effect);
    void carry_out(const memory::StopInstance& effect);
    void carry_out(const memory::SleepInstance& effect);
    void carry_out(const memory::WakeInstance& effect);

    /// The process ends by itself. False when it is gone or stopping already.
    bool crash(InstanceId instance);
    /// It is measured again and takes up to a tenth more.
    void grow(InstanceId instance);
    std::size_t count() const { return engines_.size(); }

  private:
    struct Engine {
        ModelId model;
        std::size_t placement = 0;
        bool ready = false;
        bool stopping = false;
        memory::Footprint held;  ///< what it really takes
        std::optional<Processor::Job> load{};
    };

    void load(InstanceId instance, Duration mean);
    void loaded(InstanceId instance, bool fails);
    void asleep(InstanceId instance, std::size_t way, bool fails);
    void end(InstanceId instance);

    Agenda& agenda_;
    Processor& processor_;
    Rng& rng_;
    Faults& faults_;
    const Scenario& scenario_;
    Feed feed_;
    std::map<InstanceId, Engine> engines_;
};

}  // namespace drover::sim

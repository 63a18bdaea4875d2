#include "sim_effects.hpp"

#include "base/assert.hpp"

namespace drover::sim {

using memory::Footprint;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

void SimEngines::carry_out(const memory::StartInstance& effect) {
    const SimModel& model = scenario_.models[effect.model.value - 1];
    const Footprint& estimate = model.traits.placements[effect.placement].footprint;
    const Engine engine{.model = effect.model,
                        .placement = effect.placement,
                        .held = scaled(estimate, model.truth)};
    const bool is_new = engines_.emplace(effect.instance, engine).second;
    DROVER_ASSERT(is_new);
    load(effect.instance, model.load_time);
}

void SimEngines::carry_out(const memory::WakeInstance& effect) {
    const SimModel& model = scenario_.models[effect.model.value - 1];
    Engine& engine = engines_.at(effect.instance);
    const Footprint& estimate = model.traits.placements[engine.placement].footprint;
    engine.held = scaled(estimate, model.truth);
    load(effect.instance, model.load_time / kWakeShare);
}

void SimEngines::load(InstanceId instance, Duration mean) {
    const bool fails = faults_.happens(&FaultRates::load_fails);
    const bool hangs = faults_.happens(&FaultRates::load_hangs);
    const auto work = duration_cast<Duration>(mean * (0.7 + 0.6 * rng_.unit()));
    const auto done = [this, instance, fails] {
        loaded(instance, fails);
    };
    if (hangs) {
        agenda_.after(work * kHangFactor, done);
    } else {
        engines_.at(instance).load = processor_.run(work, done);
    }
}

void SimEngines::loaded(InstanceId instance, bool fails) {
    const auto found = engines_.find(instance);
    if (found == engines_.end() || found->second.stopping) {
        return;  // it was stopped while it loaded
    }
    if (fails) {
        end(instance);
        return;
    }
    found->second.ready = true;
    found->second.load.reset();
    feed_(memory::InstanceReady{instance, found->second.held});
}

void SimEngines::carry_out(const memory::StopInstance& effect) {
    Engine& engine = engines_.at(effect.instance);
    engine.stopping = true;
    if (engine.load.has_value()) {
        processor_.drop(*engine.load);
    }
    agenda_.after(milliseconds(rng_.between(5, 60)), [this, id = effect.instance] { end(id); });
}

void SimEngines::carry_out(const memory::SleepInstance& effect) {
    const bool fails = faults_.happens(&FaultRates::sleep_fails);
    engines_.at(effect.instance).ready = false;
    agenda_.after(
        milliseconds(rng_.between(5, 60)),
        [this, id = effect.instance, way = effect.way, fails] { asleep(id, way, fails); });
}

void SimEngines::asleep(InstanceId instance, std::size_t way, bool fails) {
    const auto found = engines_.find(instance);
    if (found == engines_.end()) {
        return;  // it crashed meanwhile
    }
    if (fails) {
        end(instance);
        return;
    }
    const SimModel& model = scenario_.models[found->second.model.value - 1];
    const memory::Placement& bed = model.traits.placements[found->second.placement];
    found->second.held = scaled(bed.asleep.at(way), model.truth);
    feed_(memory::InstanceAsleep{instance, found->second.held});
}

bool SimEngines::crash(InstanceId instance) {
    const auto found = engines_.find(instance);
    if (found == engines_.end() || found->second.stopping) {
        return false;
    }
    end(instance);
    return true;
}

void SimEngines::grow(InstanceId instance) {
    const auto found = engines_.find(instance);
    if (found != engines_.end() && found->second.ready) {
        found->second.held = scaled(found->second.held, 1 + 0.1 * rng_.unit());
        feed_(memory::InstanceMeasured{instance, found->second.held});
    }
}

void SimEngines::end(InstanceId instance) {
    engines_.erase(instance);
    feed_(memory::InstanceGone{instance});
}

}  // namespace drover::sim

#include "sim_effects.hpp"

#include "base/assert.hpp"

namespace drover::sim {

using memory::Footprint;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

void SimEngines::carry_out(const memory::StartInstance& effect) {
    const SimModel& model = scenario_.models[effect.model.value - 1];
    const bool fails = faults_.happens(&FaultRates::load_fails);
    const bool hangs = faults_.happens(&FaultRates::load_hangs);
    const auto work = duration_cast<Duration>(model.load_time * (0.7 + 0.6 * rng_.unit()));
    Engine engine{.model = effect.model, .held = scaled(model.traits.footprint, model.truth)};
    const auto done = [this, id = effect.instance, fails] {
        loaded(id, fails);
    };
    if (hangs) {
        agenda_.after(work * kHangFactor, done);
    } else {
        engine.load = processor_.run(work, done);
    }
    const bool is_new = engines_.emplace(effect.instance, engine).second;
    DROVER_ASSERT(is_new);
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

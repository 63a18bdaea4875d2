#include "gateway/classifier_circuits.hpp"

#include <chrono>

#include "base/assert.hpp"

namespace drover::gateway {

using upstreams::CircuitState;

namespace {

constexpr upstreams::CircuitOptions kOptions{
    .failures = 3, .open_first = std::chrono::seconds(10), .open_max = std::chrono::minutes(5)};

}  // namespace

ClassifierCircuits::Record& ClassifierCircuits::record_of(const router::Classifier& classifier) {
    return records_.try_emplace(&classifier, Record{upstreams::Circuit(kOptions)}).first->second;
}

bool ClassifierCircuits::may_ask(const router::Classifier& classifier, TimePoint now) {
    Record& record = record_of(classifier);
    record.circuit.advance(now);
    switch (record.circuit.state()) {
        case CircuitState::closed:
            return true;
        case CircuitState::open:
            return false;
        case CircuitState::half_open:
            if (now < record.probed_until) {
                return false;
            }
            record.probed_until = now + classifier.timeout;
            return true;
    }
    DROVER_UNREACHABLE();
}

void ClassifierCircuits::note(const router::Classifier& classifier,
                              const router::Classification& said,
                              TimePoint now) {
    const bool answered = said.prediction.has_value();
    if (!answered && said.took < classifier.timeout) {
        return;
    }
    upstreams::Circuit& circuit = record_of(classifier).circuit;
    if (circuit.state() == CircuitState::half_open) {
        circuit.decide(answered, now);
    }
    if (answered) {
        circuit.succeed(circuit.era());
    } else {
        circuit.fail(circuit.era(), now);
    }
}

}  // namespace drover::gateway

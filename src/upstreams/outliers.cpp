#include "upstreams/outliers.hpp"

#include <cmath>

namespace drover::upstreams {

void Outliers::note(std::size_t replica, bool failed, TimePoint now) {
    Tally& tally = tallies_[replica];
    const std::chrono::duration<double> passed = now - tally.at;
    const std::chrono::duration<double> half_life = options_.half_life;
    const double kept = std::exp2(-passed / half_life);
    tally = {.outcomes = tally.outcomes * kept + 1,
             .failures = tally.failures * kept + (failed ? 1 : 0),
             .at = now};
}

bool Outliers::stands_out(std::size_t replica, const std::vector<std::size_t>& others) const {
    Tally rest;
    for (const std::size_t other : others) {
        rest.outcomes += tallies_[other].outcomes;
        rest.failures += tallies_[other].failures;
    }
    const Tally& own = tallies_[replica];
    return own.outcomes >= options_.outcomes_min && rest.outcomes >= options_.outcomes_min &&
           own.failures / own.outcomes >= rest.failures / rest.outcomes + options_.excess;
}

}  // namespace drover::upstreams
